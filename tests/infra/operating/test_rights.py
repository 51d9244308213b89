"""What the commands that run a stage call is allowed by `imagine iam deployer-policy`, and hardly more."""

import io
import json

import pytest

from bot.aws.sqs_queue import body_of
from infra import cli
from infra.deployer_policy import Part, Scope, statements_of
from tests.infra.operating.places import Place
from tests.infra.plain_account import PlainAccount

SCOPE = Scope(stage="dev", account="123456789012", region="us-east-1")
RENAMED = {
    "dynamodb:TransactWriteItems": "dynamodb:UpdateItem",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketTagging": "s3:GetBucketTagging",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
    "lambda:Invoke": "lambda:InvokeFunction",
}
"""Where an action has another name than its operation (service authorization reference)."""

UNCALLED = {
    "s3:DeleteObjectVersion": "DeleteObjects with a version asks for it",
    "lambda:InvokeFunction": "imagine dlq redrive of an event; moto runs functions in Docker alone",
}


@pytest.fixture
def calls(stage_with_jobs: Place, account: PlainAccount, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Of one round of every command."""
    job = stage_with_jobs.accept()
    for name in ("nudges", "dead-nudges"):
        account["sqs"].create_queue(QueueName=f"imagine-dev-{name}")
    url = account["sqs"].get_queue_url(QueueName="imagine-dev-dead-nudges")["QueueUrl"]
    for body in (body_of(job.id), "nobody's"):
        account["sqs"].send_message(QueueUrl=url, MessageBody=body)
    for group in ("/aws/lambda/imagine-dev-worker", "/aws/sagemaker/Endpoints/imagine-dev"):
        account["logs"].create_log_group(logGroupName=group)
    account["s3"].create_bucket(Bucket=f"imagine-dev-{account.cloud.account_id}")
    tags = {"TagSet": [{"Key": "stage", "Value": "dev"}]}
    account["s3"].put_bucket_tagging(Bucket=f"imagine-dev-{account.cloud.account_id}", Tagging=tags)
    account["s3"].put_object(Bucket=f"imagine-dev-{account.cloud.account_id}", Key="x", Body=b"x")
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    account["cloudformation"].create_stack(StackName="imagine-dev", TemplateBody=template)
    account.calls.clear()
    for line in (
        "jobs list",
        f"jobs show {job.id}",
        f"jobs retry {job.id} --yes",
        f"jobs fail {job.id} --yes",
    ):
        assert cli.main(line.split()) == 0
    for line in ("dlq list", "dlq redrive --yes", "logs", "secrets list"):
        cli.main(line.split())
    for value in ("0123456789abcdef" * 2, "fedcba9876543210" * 2):
        monkeypatch.setattr("sys.stdin", io.StringIO(value))
        assert cli.main(["secrets", "set", "slack-signing-secret"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("dev"))
    assert cli.main(["remove", "--data"]) == 0
    return {RENAMED.get(name, name) for name in (call.replace(".", ":", 1) for call in account.calls)}


def actions(*parts: Part) -> set[str]:
    return {action for part in parts for one in statements_of(SCOPE, part) for action in one.actions}


def test_what_is_called_is_allowed_and_what_is_allowed_is_called(calls: set[str]):
    assert calls - actions(*Part) == set(), "called and not allowed"
    assert actions(Part.OPERATING) - calls - UNCALLED.keys() == set(), "allowed, and nobody says why"
    assert UNCALLED.keys() & calls == set(), "called, and needs no explanation"
