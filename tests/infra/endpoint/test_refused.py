"""What an account may hold against an endpoint: names that are taken, rights that are missing."""

import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from bot.aws.s3_objects import S3Objects
from bot.aws.sagemaker_endpoint import SagemakerEndpoint
from bot.local.journal import ListJournal
from infra.endpoint.deletion import removals
from infra.endpoint.errors import NotOurs
from infra.endpoint.plan import plan
from infra.endpoint.settings import FILE
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account, reads
from tests.infra.endpoint.test_commands import Imagine, imagine

__all__ = ["imagine"]


def test_an_endpoint_that_somebody_else_made_is_left_alone(account: Account):
    account.stand.make_model()
    account.stand.make_config()
    account.stand.sagemaker.create_endpoint(EndpointName="imagine-dev", EndpointConfigName="config")
    account.stand.advance(300)

    with pytest.raises(NotOurs, match="endpoint imagine-dev already"):
        plan(account.goal(), account)
    with pytest.raises(NotOurs, match="use another --stage"):
        account.apply()
    told = account.stand.sagemaker.describe_endpoint(EndpointName="imagine-dev")
    assert (told["EndpointConfigName"], told["EndpointStatus"]) == ("config", "InService")


def test_a_role_that_somebody_else_made_is_left_alone(account: Account):
    account["iam"].create_role(RoleName="imagine-dev-endpoint", AssumeRolePolicyDocument="{}")

    with pytest.raises(NotOurs, match="role imagine-dev-endpoint already"):
        account.apply()
    assert account["iam"].list_role_policies(RoleName="imagine-dev-endpoint")["PolicyNames"] == []


DENIED = """<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>User: arn:aws:iam::123456789012:user/anna is not authorized to perform: iam:CreateRole</Message>
</Error></ErrorResponse>"""


def test_a_right_that_is_missing_names_the_action_and_what_grants_it(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account["iam"].meta.events.register_first("before-send.iam.CreateRole", deny)

    assert imagine("apply", "--yes", "--json") == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "is not authorized to perform: iam:CreateRole" in told["reason"]
    assert "imagine iam deployer-policy" in told["reason"]
    account["iam"].meta.events.unregister("before-send.iam.CreateRole", deny)
    assert imagine("apply", "--yes") == 0, "with the right, the next apply does the rest"


def deny(request: Any, **_: Any) -> AWSResponse:
    return AWSResponse(request.url, 403, {"Content-Type": "text/xml"}, Raw(DENIED.encode()))


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body


@pytest.mark.parametrize(
    "verb", [("plan",), ("apply", "--yes"), ("update", "--yes")], ids=lambda verb: verb[0]
)
def test_a_bucket_in_another_region_is_refused_before_anything_is_made(
    imagine: Imagine, account: Account, verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    far = f"{account.stand.bucket}-far"
    account["s3"].create_bucket(Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    text = FILE.read_text().replace(f"s3://{account.stand.bucket}/", f"s3://{far}/")
    FILE.write_text(text)
    account.calls.clear()

    assert imagine(*verb) == 1
    told = capsys.readouterr().err
    assert f"{verb[0]}: bucket {far} is in eu-west-1, the endpoint in us-east-1" in told
    assert "Upload the models to a bucket in us-east-1, or use --region eu-west-1" in told
    assert not [call for call in account.calls if not reads(call)]


def test_the_quota_is_looked_at_before_anything_is_made(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account.quotas.applied = dict.fromkeys(account.quotas.applied, 0.0)
    account.calls.clear()

    assert imagine("apply", "--yes") == 1
    told = capsys.readouterr().err
    for kind in ("ml.g6.xlarge", "ml.g5.xlarge", "ml.g4dn.xlarge"):
        assert f'"{kind} for endpoint usage" is 0, 1 needed' in told
    assert "imagine quota request" in told
    assert not [call for call in account.calls if not reads(call)]


def test_delete_leaves_an_endpoint_that_somebody_else_made(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account.stand.make_endpoint("imagine-dev")
    account["cloudwatch"].put_metric_alarm(AlarmName="imagine-dev-wake", **ANY_ALARM)

    assert imagine("delete", "--yes") == 1
    assert "endpoint imagine-dev already, without our tag" in capsys.readouterr().err
    assert account.stand.status("imagine-dev")[0] == "InService"
    assert account["cloudwatch"].describe_alarms()["MetricAlarms"]


def test_delete_leaves_a_role_and_hosting_that_somebody_else_made(account: Account):
    account.stand.make_model("imagine-dev-0123456789")
    account.stand.make_config("imagine-dev-0123456789", model="imagine-dev-0123456789")
    assert list(removals(account.place, account)) == [], "without our tag they are not ours"

    account["iam"].create_role(RoleName="imagine-dev-training", AssumeRolePolicyDocument="{}")
    with pytest.raises(NotOurs, match="role imagine-dev-training already"):
        list(removals(account.place, account, everything=True))


def places(account: Account) -> int:
    """The window that our bot keeps over an endpoint of at most two instances."""
    clients = account.stand.cloud.clients
    endpoint = SagemakerEndpoint(
        clients,
        name="imagine-dev",
        bucket=account.stand.bucket,
        objects=S3Objects(clients, bucket=account.stand.bucket, owner=account.stand.cloud.account_id),
        snapshot=lambda: {"max_instances": 2},
        journal=ListJournal(),
    )
    return endpoint.state().window


ANY_ALARM = {
    "Namespace": "AWS/SageMaker",
    "MetricName": "ApproximateBacklogSize",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


def test_from_nothing_to_one_to_two_and_back_with_the_window_full(account: Account, container: InferenceStub):
    account.apply()
    stand = account.stand
    container.gate.clear()
    stand.advance(30 * 60)
    assert stand.status("imagine-dev") == ("InService", 0, 0)
    window = places(account)
    assert window == 10, "the backlog target of 3 and one more for each of two instances, and what they draw"
    runtime = stand.region.runtime("imagine-dev")
    for number in range(window):
        stand.invoke(number, name="imagine-dev")
    ready = []
    for _ in range(20):
        stand.advance(60)
        ready.append(stand.status("imagine-dev")[1])
    assert sorted(set(ready)) == [0, 1, 2]
    assert ready == sorted(ready), "one after the other, none taken away while drawings wait"
    container.gate.set()
    stand.until(lambda: runtime.tally.processed == window)
    stand.advance(60 * 60)
    assert stand.status("imagine-dev") == ("InService", 0, 0)
