"""What the notebook takes from a session in SageMaker Studio."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.endpoint.clients import AwsClients
from infra.endpoint.settings import parse_settings
from infra.endpoint.studio import StudioSession, studio_session
from infra.role_policies import trust
from tests.infra.plain_account import PlainAccount

SESSION = "arn:aws:sts::123456789012:assumed-role/{}/SageMaker"


@pytest.fixture
def account() -> PlainAccount:
    return PlainAccount()


def session(account: PlainAccount, caller: str) -> StudioSession:
    identity = {"Account": "123456789012", "Arn": caller, "UserId": "x"}
    account["sts"].meta.events.register("before-call.sts.GetCallerIdentity", lambda **_: answer(identity))
    return studio_session(cast("AwsClients", account), stage="dev")


def answer(told: dict[str, Any], status: int = 200) -> tuple[SimpleNamespace, dict[str, Any]]:
    return SimpleNamespace(status_code=status, headers={}), told


def test_the_sessions_role_is_the_endpoints_where_sagemaker_may_take_it(account: PlainAccount):
    bucket = account.deploy()
    policy = json.dumps(trust("sagemaker.amazonaws.com", account="123456789012"))
    made = account["iam"].create_role(RoleName="Data-Science", Path="/team/", AssumeRolePolicyDocument=policy)
    found = session(account, SESSION.format("Data-Science"))

    assert (found.bucket, found.region, found.role) == (bucket, "us-east-1", made["Role"]["Arn"])
    assert parse_settings(f'profile = "trial"\n{found.settings}').role_arn == made["Role"]["Arn"]


def test_a_role_that_may_not_look_at_itself_is_known_by_the_wizards_name(account: PlainAccount):
    account.deploy()
    denied = {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}
    account["iam"].meta.events.register("before-call.iam.GetRole", lambda **_: answer(denied, 403))
    name = "AmazonSageMaker-ExecutionRole-20260101T000000"

    arn = session(account, SESSION.format(name)).role
    assert arn == f"arn:aws:iam::123456789012:role/service-role/{name}"


@pytest.mark.parametrize("caller", ["arn:aws:iam::123456789012:user/anna", SESSION.format("Admin")])
def test_anybody_else_gets_the_stages_own_role(account: PlainAccount, caller: str):
    account.deploy()
    policy = json.dumps(trust("ec2.amazonaws.com", account="123456789012"))
    account["iam"].create_role(RoleName="Admin", AssumeRolePolicyDocument=policy)

    found = session(account, caller)
    assert (found.role, found.settings) == ("", "")
