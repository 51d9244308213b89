"""What the notebook takes from a session in SageMaker Studio."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.endpoint.clients import AwsClients
from infra.endpoint.errors import EndpointError
from infra.endpoint.settings import parse_settings
from infra.endpoint.studio import StudioSession, studio_session
from infra.role_policies import trust
from tests.infra.plain_account import PlainAccount

SESSION = "arn:aws:sts::123456789012:assumed-role/{}/SageMaker"


@pytest.fixture
def account() -> PlainAccount:
    return PlainAccount()


def session(
    account: PlainAccount, caller: str, *, number: str = "123456789012", metadata: Path = Path("nowhere")
) -> StudioSession:
    identity = {"Account": number, "Arn": caller, "UserId": "x"}
    account["sts"].meta.events.register("before-call.sts.GetCallerIdentity", lambda **_: answer(identity))
    return studio_session(cast("AwsClients", account), stage="dev", metadata=metadata)


def answer(told: dict[str, Any], status: int = 200) -> tuple[SimpleNamespace, dict[str, Any]]:
    return SimpleNamespace(status_code=status, headers={}), told


def test_the_sessions_role_is_the_endpoints_where_sagemaker_may_take_it(account: PlainAccount):
    bucket = account.deploy()
    policy = json.dumps(trust("sagemaker.amazonaws.com", account="123456789012"))
    made = account["iam"].create_role(RoleName="Data-Science", Path="/team/", AssumeRolePolicyDocument=policy)
    found = session(account, SESSION.format("Data-Science"))

    assert (found.bucket, found.region, found.role) == (bucket, "us-east-1", made["Role"]["Arn"])
    assert found.deployed
    assert "bucket" not in found.settings
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


def test_without_a_stage_results_go_to_the_sessions_bucket_which_is_made_once(account: PlainAccount):
    number = account.cloud.account_id
    found = session(account, SESSION.format("Admin"), number=number)

    assert (found.bucket, found.deployed) == (f"sagemaker-us-east-1-{number}", False)
    settings = parse_settings(f'profile = "trial"\n{found.settings}')
    assert settings.bucket == found.bucket
    again = session(account, SESSION.format("Admin"), number=number)
    assert again == found
    assert account.calls.count("s3.CreateBucket") == 1


def test_a_session_elsewhere_has_its_bucket_there(account: PlainAccount):
    account.region = "eu-west-1"
    number = account.cloud.account_id
    found = session(account, SESSION.format("Admin"), number=number)

    place = account["s3"].get_bucket_location(Bucket=f"sagemaker-eu-west-1-{number}")
    assert (found.region, place["LocationConstraint"]) == ("eu-west-1", "eu-west-1")


def test_a_bucket_of_that_name_that_somebody_else_has_is_never_used(account: PlainAccount):
    refused = {"Error": {"Code": "403", "Message": "Forbidden"}}
    account["s3"].meta.events.register("before-call.s3.HeadBucket", lambda **_: answer(refused, 403))

    with pytest.raises(EndpointError, match="sagemaker-us-east-1-123456789012 is not this account's"):
        session(account, SESSION.format("Admin"))
    assert account["s3"].list_buckets()["Buckets"] == []


def test_the_role_that_studio_names_comes_before_the_one_behind_its_credentials(
    account: PlainAccount, tmp_path: Path
):
    account.deploy()
    named = "arn:aws:iam::123456789012:role/team/Drawing"
    metadata = tmp_path / "resource-metadata.json"
    metadata.write_text(json.dumps({"DomainId": "d-1", "ExecutionRoleArn": named}))

    assert session(account, SESSION.format("Admin"), metadata=metadata).role == named
