"""What an account may hold against an endpoint: names that are taken, rights that are missing."""

import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from infra.endpoint.errors import NotOurs
from infra.endpoint.plan import plan
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account
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


def test_the_bots_window_lets_the_scaler_see_enough_backlog_for_every_instance(account: Account):
    """Backlog target + 1 for each possible instance, and what they draw at that moment."""
    settings = account.goal().settings
    window = settings.max_instances * (settings.concurrency + settings.backlog_target + 1)

    assert window == 10
    seen = window / (settings.max_instances - 1)
    assert seen > settings.backlog_target, "one instance short, target tracking asks for one more"


def test_from_nothing_to_one_to_two_and_back_with_the_window_full(account: Account, container: InferenceStub):
    account.apply()
    stand = account.stand
    container.gate.clear()
    stand.advance(30 * 60)
    assert stand.status("imagine-dev") == ("InService", 0, 0)
    settings = account.goal().settings
    window = settings.max_instances * (settings.concurrency + settings.backlog_target + 1)
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
