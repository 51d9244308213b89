"""`imagine remove`: what goes, what stays; data goes only for somebody who types the stage's name."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from infra import cli
from tests.infra.operating.conftest import Imagine
from tests.infra.plain_account import PlainAccount

TEMPLATE = {
    "Resources": {
        "Nudges": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "imagine-dev-nudges"}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "imagine-dev-failed"}},
        "ServerlessDeploymentBucket": {"Type": "AWS::S3::Bucket"},
    }
}
KEY, VALUE = "images/T1/x/1.png", b"x"


@pytest.fixture
def stage(account: PlainAccount) -> PlainAccount:
    """A deployed stage. What is retained is made beside the stack: moto would delete it."""
    bucket = f"imagine-dev-{account.cloud.account_id}"
    template = {**TEMPLATE, "Outputs": {"PicturesBucket": {"Value": bucket}}}
    account["cloudformation"].create_stack(StackName="imagine-dev", TemplateBody=json.dumps(template))
    for name, owner in ((bucket, "dev"), (f"{bucket}-of-two", "dev-2")):
        account["s3"].create_bucket(Bucket=name)
        tags = {"TagSet": [{"Key": "stage", "Value": owner}]}
        account["s3"].put_bucket_tagging(Bucket=name, Tagging=tags)
    account["s3"].put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        account["s3"].put_object(Bucket=bucket, Key=KEY, Body=VALUE)
    account["s3"].delete_object(Bucket=bucket, Key=KEY)
    account["s3"].put_object(Bucket=artifacts(account), Key="zip", Body=VALUE)
    account["dynamodb"].create_table(
        TableName="imagine-dev",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        DeletionProtectionEnabled=True,
    )
    for name in ("slack-bot-token", "deployment"):
        account["ssm"].put_parameter(Name=f"/imagine/dev/{name}", Value="x", Type="SecureString")
    for group in ("/aws/sagemaker/Endpoints/imagine-dev", "/aws/sagemaker/Endpoints/imagine-dev-2"):
        account["logs"].create_log_group(logGroupName=group)
    return account


def artifacts(account: PlainAccount) -> str:
    told = account["cloudformation"].list_stack_resources(StackName="imagine-dev")["StackResourceSummaries"]
    return next(one["PhysicalResourceId"] for one in told if one["ResourceType"] == "AWS::S3::Bucket")


def left(account: PlainAccount) -> dict[str, Any]:
    """What is there of the stage."""
    stacks = account["cloudformation"].list_stacks()["StackSummaries"]
    return {
        "stack": any(stack["StackStatus"] != "DELETE_COMPLETE" for stack in stacks),
        "buckets": [told["Name"] for told in account["s3"].list_buckets()["Buckets"]],
        "tables": account["dynamodb"].list_tables()["TableNames"],
        "parameters": len(account["ssm"].describe_parameters()["Parameters"]),
        "logs": [told["logGroupName"] for told in account["logs"].describe_log_groups()["logGroups"]],
    }


def type_in(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{line}\n"))


def test_the_service_goes_and_its_data_stays(
    stage: PlainAccount, imagine: Imagine, capsys: pytest.CaptureFixture[str]
):
    bucket = f"imagine-dev-{stage.cloud.account_id}"

    assert imagine("remove", "--yes") == 0

    there = left(stage)
    assert (there["stack"], there["tables"], there["parameters"]) == (False, ["imagine-dev"], 2)
    assert there["buckets"] == [bucket, f"{bucket}-of-two"], "the one of deployed zips is gone"
    told = capsys.readouterr().out
    assert "-   1 AWS::SQS::Queue" in told
    assert f"bucket {bucket} stays" in told
    assert "log group /aws/sagemaker/Endpoints/imagine-dev stays" in told
    assert "goes on billing" in told
    assert "takes the data in again" in told


def test_a_second_time_there_is_nothing_to_do_but_the_data(
    stage: PlainAccount, imagine: Imagine, capsys: pytest.CaptureFixture[str]
):
    imagine("remove", "--yes")
    capsys.readouterr()

    assert imagine("remove") == 0
    told = capsys.readouterr().out
    assert "nothing of stage dev is deployed here" in told
    assert "imagine remove --data --stage dev" in told


@pytest.mark.parametrize("first", [(), ("remove", "--yes")])
def test_data_goes_for_whoever_types_the_stage_s_name_also_when_the_stack_is_gone(
    stage: PlainAccount, imagine: Imagine, first: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    if first:
        imagine(*first)
    type_in(monkeypatch, "dev")

    assert imagine("remove", "--data") == 0

    assert left(stage) == {
        "stack": False,
        "buckets": [f"imagine-dev-{stage.cloud.account_id}-of-two"],
        "tables": [],
        "parameters": 0,
        "logs": ["/aws/sagemaker/Endpoints/imagine-dev-2"],
    }


@pytest.mark.parametrize("typed", ["", "yes", "prod"])
def test_another_word_removes_nothing_whatever_yes_says(
    stage: PlainAccount,
    imagine: Imagine,
    typed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    type_in(monkeypatch, typed)
    before = left(stage)

    assert imagine("remove", "--data", "--yes") == 1
    assert "nothing was done" in capsys.readouterr().err
    assert left(stage) == before


def test_nobody_is_asked_nothing_is_removed(
    stage: PlainAccount, imagine: Imagine, capsys: pytest.CaptureFixture[str]
):
    before = left(stage)

    assert imagine("remove") == 1
    assert "say --yes" in capsys.readouterr().err
    assert left(stage) == before


def test_with_an_endpoint_nothing_is_removed(
    stage: PlainAccount, imagine: Imagine, capsys: pytest.CaptureFixture[str]
):
    there = (SimpleNamespace(status_code=200, headers={}), {"EndpointStatus": "InService"})
    stage["sagemaker"].meta.events.register("before-call.sagemaker.DescribeEndpoint", lambda **_: there)

    assert imagine("remove", "--yes") == 1
    assert "First: imagine endpoint delete --stage dev" in capsys.readouterr().err
    assert left(stage)["stack"]


def test_a_stage_that_never_was(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine("remove", "--stage", "prod", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"outcome": "unchanged", "stays": []}


def test_no_stage_name(imagine: Imagine):
    assert cli.main(["remove", "--stage", "Prod!"]) == 1
