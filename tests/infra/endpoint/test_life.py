"""What comes after the first apply: status, a picture, an update that proves itself, and the end."""

import json

import pytest

from infra.endpoint.deletion import delete, removals
from infra.endpoint.drawing import pictures_of, request_for, submit, wait
from infra.endpoint.errors import EndpointFailed, SelfTestFailed
from infra.endpoint.plan import Action, plan
from infra.endpoint.settings import EndpointSettings
from infra.endpoint.status import Status, read_status
from infra.endpoint.update import update
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account


def status(account: Account) -> Status:
    found = read_status(
        "imagine-dev", account, region="us-east-1", variant="AllTraffic", now=account.stand.region.now()
    )
    assert found is not None
    return found


def test_status_is_live_and_takes_six_calls(account: Account):
    account.apply()
    account.stand.advance(120)
    account.calls.clear()
    told = status(account)

    assert (told.status, told.instances, told.desired, told.bounds) == ("InService", 1, 1, (0, 2))
    assert told.types == ("ml.g6.xlarge",)
    assert told.backlog == 0
    assert told.price.hourly == 1.127
    assert len(account.calls) == 6, account.calls


@pytest.mark.parametrize(("idle", "quiet", "left"), [(10, 14, 0), (0, 25, 0), (60, 50, 1), (60, 70, 0)])
def test_the_only_instance_ends_when_it_was_idle_for_as_long_as_is_set(
    account: Account, idle: int, quiet: int, left: int
):
    account.apply(account.goal(idle_minutes=idle, max_instances=1))
    account.stand.advance(60 * quiet)

    assert status(account).desired == left


def test_status_counts_the_days_instance_minutes(account: Account):
    account.apply()
    for minute in range(90):
        account["cloudwatch"].put_metric_data(
            Namespace="/aws/sagemaker/Endpoints",
            MetricData=[
                {
                    "MetricName": "CPUUtilization",
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": "imagine-dev"},
                        {"Name": "VariantName", "Value": "AllTraffic"},
                    ],
                    "Timestamp": account.stand.region.now() - 60 * minute - 1,
                    "Value": 5.0,
                }
            ],
        )

    assert status(account).minutes_today == 90
    assert status(account).spent_today.startswith("about $1.69 (us-east-1 prices")


def test_no_endpoint_has_no_status(account: Account):
    assert read_status("imagine-x", account, region="us-east-1", variant="AllTraffic", now=0) is None


def draw(account: Account) -> list[bytes]:
    submitted = submit(
        "imagine-dev", account, request_for("a red apple"), EndpointSettings(model="s3://b/m/")
    )
    return pictures_of(
        wait(submitted, account, patience=60, pause=lambda seconds: account.stand.until(lambda: True))
    )


def test_a_picture_comes_back(account: Account, container: InferenceStub):
    account.apply()

    assert draw(account) == [b"x"]
    asked = json.loads(container.invocations[-1][1])
    assert asked["task"] == "text-to-image"
    assert asked["txt2img_payload"]["prompt"] == "a red apple"


def test_a_failure_is_told_in_the_containers_words(account: Account, container: InferenceStub):
    account.apply()
    container.answer = lambda _body: (
        400,
        b'{"error": {"code": "bad_request", "message": "no such sampler"}}',
    )

    with pytest.raises(SelfTestFailed, match="the endpoint failed: no such sampler"):
        draw(account)


def test_an_error_inside_a_success_is_a_failure(account: Account, container: InferenceStub):
    account.apply()
    container.answer = lambda _body: (200, b'{"error": "CUDA out of memory"}')

    with pytest.raises(SelfTestFailed, match="CUDA out of memory"):
        draw(account)


def test_silence_ends_with_where_to_look(account: Account, container: InferenceStub):
    account.apply()
    account.stand.region.runtime("imagine-dev").faults.lost = 1

    with pytest.raises(SelfTestFailed, match="imagine endpoint status"):
        draw(account)


def refuse() -> None:
    raise SelfTestFailed("the endpoint answered no picture")


def test_an_update_that_draws_is_kept(account: Account):
    account.apply()
    goal = account.goal(concurrency=2)
    update(goal, account, waits=account.waits, prove=lambda: draw(account))  # type: ignore[arg-type, return-value]

    assert account.state()["endpoint"] == (goal.config_name, "InService")
    assert account.state()["configs"] == [goal.config_name]


def test_an_update_that_draws_nothing_is_taken_back(account: Account):
    account.apply()
    before = account.state()["endpoint"]
    with pytest.raises(SelfTestFailed, match="again, as before"):
        update(account.goal(concurrency=2), account, waits=account.waits, prove=refuse)

    assert account.state()["endpoint"] == before


def test_an_update_that_never_gets_healthy_leaves_the_former_one(account: Account):
    account.apply()
    before = account.state()["endpoint"]
    account.stand.region.hosting.troubles.unhealthy_starts = 1
    with pytest.raises(EndpointFailed, match="ping health check"):
        update(account.goal(concurrency=2), account, waits=account.waits, prove=refuse)

    assert account.state()["endpoint"] == before


def test_the_first_endpoint_that_draws_nothing_stays_to_be_looked_at(account: Account):
    with pytest.raises(SelfTestFailed, match="answered no picture"):
        update(account.goal(), account, waits=account.waits, prove=refuse)

    assert account.state()["endpoint"][1] == "InService"


def test_deleting_takes_everything_in_an_order_that_works(account: Account):
    account.apply()
    told = [(removal.step.kind) for removal in removals(account.place, account)]
    steps = delete(account.place, account, waits=account.waits)

    assert [step.kind for step in steps] == told
    assert told == [
        "scaling target",
        "alarm",
        "alarm",
        "endpoint",
        "endpoint config",
        "model",
        "role policy",
        "role",
    ]
    assert delete(account.place, account, waits=account.waits) == ()
    assert {step.action for step in plan(account.goal(), account)} == {Action.MAKE, Action.KEEP}


def test_delete_all_takes_what_trainings_and_image_builds_left(account: Account):
    for name, policy in (("training", "imagine-training"), ("image", "imagine-image")):
        tags = [{"Key": "service", "Value": "imagine"}]
        named = {"RoleName": f"imagine-dev-{name}"}
        account["iam"].create_role(**named, AssumeRolePolicyDocument="{}", Tags=tags)
        account["iam"].put_role_policy(**named, PolicyName=policy, PolicyDocument=NO_RIGHTS)
    account["logs"].create_log_group(logGroupName="/aws/codebuild/imagine-dev-image")
    assert delete(account.place, account, waits=account.waits) == ()

    steps = delete(account.place, account, waits=account.waits, everything=True)
    assert [(step.kind, step.name.rpartition("-")[2]) for step in steps] == [
        ("log group", "image"),
        ("role policy", "training"),
        ("role", "training"),
        ("role policy", "image"),
        ("role", "image"),
    ]
    assert account["iam"].list_roles()["Roles"] == []


DENY = [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]
NO_RIGHTS = json.dumps({"Version": "2012-10-17", "Statement": DENY})
