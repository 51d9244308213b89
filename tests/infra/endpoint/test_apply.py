"""From a file to an endpoint: made once, left alone when right, repaired when not."""

import json

import pytest

from infra.endpoint.errors import EndpointFailed
from infra.endpoint.plan import Action, plan
from infra.endpoint.wanted import DIMENSION, Wanted
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account, reads

MADE = [
    "log group",
    "role",
    "model",
    "endpoint config",
    "endpoint",
    "scaling target",
    "scaling policy",
    "scaling policy",
    "alarm",
    "scaling policy",
    "alarm",
]


def test_from_nothing_everything_is_made_in_order(account: Account):
    steps = account.apply()

    assert [(step.kind, step.action) for step in steps] == [(kind, Action.MAKE) for kind in MADE]
    assert account.stand.status("imagine-dev") == ("InService", 1, 1)
    told = account.stand.sagemaker.describe_endpoint(EndpointName="imagine-dev")
    assert told["AsyncInferenceConfig"]["OutputConfig"]["S3FailurePath"].endswith("/failed/")
    model = account.stand.sagemaker.describe_model(ModelName=account.goal().model_name)
    assert model["EnableNetworkIsolation"] is True
    config = account.stand.sagemaker.describe_endpoint_config(EndpointConfigName=account.goal().config_name)
    assert config["ProductionVariants"][0]["InferenceAmiVersion"].endswith("gpu-4-1")


def test_a_plan_says_so_and_writes_nothing(account: Account):
    steps = plan(account.goal(), account)

    assert {step.action for step in steps} == {Action.MAKE}
    assert not [call for call in account.calls if not reads(call)]


def test_again_there_is_nothing_to_do(account: Account):
    account.apply()
    before = account.state()
    account.calls.clear()

    assert account.apply() == ()
    assert not [call for call in account.calls if not reads(call)]
    assert account.state() == before
    assert len(account.calls) <= 21, account.calls


def test_from_nothing_it_makes_no_call_too_many(account: Account):
    account.apply()
    written = [call for call in account.calls if not reads(call)]

    assert len(written) == 13, written
    assert account.calls.count("sagemaker.DescribeEndpoint") <= 12, "no faster than SageMaker's own waiter"


def test_drift_is_shown_and_repaired(account: Account):
    account.apply()
    named = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/imagine-dev/variant/AllTraffic",
        "ScalableDimension": DIMENSION,
    }
    account.stand.scaling.register_scalable_target(**named, MaxCapacity=9)
    account["logs"].delete_retention_policy(logGroupName="/aws/sagemaker/Endpoints/imagine-dev")
    account["cloudwatch"].delete_alarms(AlarmNames=["imagine-dev-wake"])
    account["iam"].put_role_policy(
        RoleName="imagine-dev-endpoint",
        PolicyName="imagine-endpoint",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
            }
        ),
    )

    found = {(step.kind, step.action) for step in plan(account.goal(), account) if step.action != Action.KEEP}
    assert found == {
        ("log group", Action.CHANGE),
        ("role", Action.CHANGE),
        ("scaling target", Action.CHANGE),
        ("alarm", Action.MAKE),
    }
    account.apply()
    assert {step.action for step in plan(account.goal(), account)} == {Action.KEEP}


def test_a_minimum_that_somebody_raised_is_no_drift(account: Account):
    account.apply()
    account.stand.scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/imagine-dev/variant/AllTraffic",
        ScalableDimension=DIMENSION,
        MinCapacity=1,
    )

    assert {step.action for step in plan(account.goal(), account)} == {Action.KEEP}


def test_a_change_makes_a_new_config_keeps_the_count_and_leaves_nothing_behind(account: Account):
    account.apply()
    account.stand.scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/imagine-dev/variant/AllTraffic",
        ScalableDimension=DIMENSION,
        MinCapacity=2,
    )
    account.stand.advance(300)
    changed = account.goal(environment={"PNG_PARAMETERS": "1"})
    steps = account.apply(changed)

    assert [(step.kind, step.action) for step in steps] == [
        ("model", Action.MAKE),
        ("endpoint config", Action.MAKE),
        ("endpoint", Action.CHANGE),
        ("endpoint config", Action.REMOVE),
        ("model", Action.REMOVE),
    ]
    assert account.stand.status("imagine-dev") == ("InService", 2, 2)
    assert account.state()["models"] == [changed.model_name]


def test_what_belongs_to_another_stage_is_left_alone(account: Account):
    account.apply()
    other = Wanted(place=account.place, settings=account.goal().settings, image="other@sha256:1")
    account.stand.make_model("imagine-dev-anna-0123456789")
    steps = plan(other, account)

    assert [step.name for step in steps if step.action is Action.REMOVE] == [
        account.goal().config_name,
        account.goal().model_name,
    ]


def test_an_endpoint_that_never_gets_healthy_says_sagemakers_reason(account: Account):
    account.stand.region.hosting.troubles.unhealthy_starts = 1
    with pytest.raises(EndpointFailed, match="did not pass the ping health check"):
        account.apply()

    steps = account.apply()
    assert ("endpoint", Action.CHANGE) in [(step.kind, step.action) for step in steps]
    assert account.stand.status("imagine-dev") == ("InService", 1, 1)


def test_it_sleeps_by_itself_and_wakes_for_one_drawing(account: Account, container: InferenceStub):
    account.apply()
    container.gate.clear()
    account.stand.advance(20 * 60)
    assert account.stand.status("imagine-dev") == ("InService", 0, 0)

    account.stand.invoke(name="imagine-dev")
    account.stand.advance(6 * 60)
    assert account.stand.status("imagine-dev") == ("InService", 1, 1)
    container.gate.set()
    account.stand.until(lambda: account.stand.region.runtime("imagine-dev").tally.processed == 1)
    account.stand.advance(30 * 60)
    assert account.stand.status("imagine-dev") == ("InService", 0, 0)


def test_the_role_may_do_what_the_endpoint_needs_and_no_more(account: Account):
    rights = account.goal().rights["Statement"]
    actions = {action for statement in rights for action in statement["Action"]}

    assert not [action for action in actions if action.endswith("*")]
    assert [s["Action"] for s in rights if s["Resource"] == ["*"]] == [["ecr:GetAuthorizationToken"]]
    assert "arn:aws:ecr:us-east-1:123456789012:repository/imagine" in json.dumps(rights)
    trust = account.goal().trust["Statement"][0]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
