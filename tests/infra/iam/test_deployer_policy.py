"""`imagine iam deployer-policy`: what our own commands call is allowed, and hardly anything else."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra import cli
from infra.deployer_policy import LONGEST_MANAGED, Part, Scope, deployer_policy, statements_of
from infra.endpoint.drawing import submit
from infra.endpoint.settings import EndpointSettings
from infra.image.codebuild import CodeBuild, Order
from infra.image.recipe import RECIPES, Source
from infra.image.registry import Registry
from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import IMAGE, Account
from tests.infra.endpoint.test_commands import Imagine, imagine
from tests.infra.sagemaker.standing_region import STUB_TRAINER, standing_region
from tests.infra.training.conftest import pictures, release_base, store_of, wait
from tests.packaging.model_files import checkpoint

__all__ = ["imagine", "pictures"]

SCOPE = Scope(stage="dev", account="123456789012", region="us-east-1", models="models")
PREFIXES = {
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
    "monitoring": "cloudwatch",
}
RENAMED = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
}
"""Where an action has another name than its operation (service authorization reference)."""

ANYBODY = {"sts:GetCallerIdentity"}
"""Needs no right."""

UNCALLED: dict[str, str] = {
    # what AWS asks for beside the call itself
    "iam:PassRole": "CreateModel, CreateProject and CreateTrainingJob hand a role over",
    "iam:CreateServiceLinkedRole": "the first RegisterScalableTarget of an account",
    "sagemaker:AddTags": "tags on what is made",
    "iam:TagRole": "tags on what is made",
    "ecr:TagResource": "tags on what is made",
    "logs:TagResource": "tags on what is made",
    "cloudwatch:TagResource": "tags on what is made",
    "application-autoscaling:TagResource": "tags on what is made",
    # what docker does with the token, over the registry's own protocol
    "ecr:GetAuthorizationToken": "docker login",
    "ecr:BatchCheckLayerAvailability": "docker push",
    "ecr:CompleteLayerUpload": "docker push",
    "ecr:InitiateLayerUpload": "docker push",
    "ecr:PutImage": "docker push",
    "ecr:UploadLayerPart": "docker push",
    # what this test does not come to
    "application-autoscaling:DeleteScalingPolicy": "the fix that imagine doctor prints",
    "ecr:GetDownloadUrlForLayer": "imagine doctor, for an image without an index",
    "iam:SimulatePrincipalPolicy": "imagine doctor; answered before it is noted here",
    "logs:GetLogEvents": "imagine image push --codebuild and imagine train, once there is a line",
    "sagemaker:StopTrainingJob": "imagine train --stop",
    "servicequotas:ListAWSDefaultServiceQuotas": "imagine quota, for one that was never changed",
    "s3:AbortMultipartUpload": "imagine models upload, of a large file",
    "s3:DeleteObject": "imagine models remove",
    "s3:GetLifecycleConfiguration": "imagine models upload",
    "s3:ListMultipartUploadParts": "imagine models upload, of a large file",
    "ssm:GetParameter": "imagine secrets",
    "ssm:PutParameter": "imagine secrets",
}
"""Allowed, and not called here: by what it is needed."""


def allowed(*parts: Part) -> set[str]:
    return {action for part in parts for one in statements_of(SCOPE, part) for action in one.actions}


def called(account: Account) -> set[str]:
    names = set()
    for call in account.calls:
        service, _, operation = call.partition(".")
        name = f"{PREFIXES.get(service, service)}:{operation}"
        names.add(RENAMED.get(name, name))
    return names - ANYBODY


@pytest.fixture
def account(container: InferenceStub, tmp_path: Path) -> Iterator[Account]:
    """Also with trainings, and a release to train with."""
    with standing_region(Cloud(), container_url=container.url, trainer=STUB_TRAINER) as stand:
        account = Account(stand=stand)
        release_base(store_of(account), checkpoint(tmp_path / "base.safetensors"))
        account["iam"].meta.events.register("before-call.iam.SimulatePrincipalPolicy", all_allowed)
        account.calls.clear()
        yield account


def all_allowed(**_: object) -> tuple[SimpleNamespace, dict[str, list[str]]]:
    """The answer to a simulation, which moto does not know."""
    return SimpleNamespace(status_code=200, headers={}), {"EvaluationResults": []}


TRAIN = ("train", "blue", "--name", "blue", "--base", "emoji", "--licence", "MIT", "--steps", "2")
LINES: tuple[tuple[str, ...], ...] = (
    ("endpoint", "plan"),
    ("endpoint", "apply", "--yes"),
    ("endpoint", "status"),
    ("endpoint", "warm", "30m", "--yes"),
    ("endpoint", "schedule", "mon-fri 09:00-18:00 Europe/Berlin", "--yes"),
    ("endpoint", "schedule", "off"),
    ("endpoint", "sleep", "--yes"),
    ("endpoint", "cost", "--refresh"),
    ("endpoint", "logs"),
    ("quota", "request", "--yes"),
    ("doctor",),
    ("image", "push", "--codebuild", "--dry-run"),
    (*TRAIN, "--image", IMAGE, "--yes"),
)
"""What a person types, from a deployed stage on."""


def live(account: Account) -> None:
    """Every line, other settings, a picture, a build in the account, and everything removed."""
    account["logs"].create_log_group(logGroupName="/aws/sagemaker/other")
    account.calls.clear()
    for line in LINES:
        cli.main(list(line))
    account.apply(account.goal(idle_minutes=20, backlog_target=2, engine="webui"))
    submit("imagine-dev", account, {"task": "text-to-image"}, EndpointSettings())
    registry = Registry(account)
    address = registry.ensure("imagine-embedded", tags={})
    order = Order(source=Source(recipe=RECIPES["embedded"]), repository="imagine-embedded", address=address)
    place = replace(account.place, account=account.stand.cloud.account_id)
    CodeBuild(clients=account, place=place, told=lambda _: None, pause=account.stand.advance).push([order])
    registry.held("imagine-embedded")
    cli.main(["endpoint", "delete", "--all", "--yes"])


def test_what_is_called_is_allowed_and_what_is_allowed_is_called(
    imagine: Imagine, account: Account, pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(time, "sleep", lambda seconds: wait(account, seconds))
    monkeypatch.setenv("IMAGINE_MODELS", f"s3://{account.stand.bucket}/models")
    account.quotas.applied["ml.g5.xlarge for spot training job usage"] = 0.0
    (tmp_path / "endpoint.toml").write_text(f'model = "{account.goal().settings.model}"\nimage = "{IMAGE}"\n')
    live(account)
    rights, calls = allowed(Part.ENDPOINT, Part.IMAGE), called(account)

    assert calls - rights == set(), "called and not allowed"
    assert rights - calls - UNCALLED.keys() == set(), "allowed, and nobody says why"
    assert UNCALLED.keys() - rights == set(), "explained, and not allowed"
    assert UNCALLED.keys() & calls == set(), "called, and needs no explanation"


def test_no_action_has_a_star_and_few_resources_are_everything():
    for part in Part:
        for statement in statements_of(SCOPE, part):
            assert not any("*" in action for action in statement.actions)
            if statement.resources == ("*",):
                assert statement.sid in {"AccessLog", "Lists", "OperatingLists", "RegistryLogin", "Template"}
            else:
                assert all(":" in resource and resource != "*" for resource in statement.resources)
    assert not {"iam:AttachUserPolicy", "iam:CreateUser", "iam:PutUserPolicy"} & allowed(*Part)


def test_roles_are_passed_to_their_service_alone_and_keep_the_boundary():
    boundary = "arn:aws:iam::123456789012:policy/limits"
    settings = EndpointSettings(role_path="/team/", permissions_boundary=boundary)
    scope = Scope(stage="dev", account="123456789012", region="us-east-1", settings=settings)
    by_sid = {one.sid: one for part in Part for one in statements_of(scope, part)}

    assert by_sid["EndpointRolesMade"].condition == {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    assert by_sid["EndpointRolesMade"].resources[0].endswith(":role/team/imagine-dev-endpoint")
    passed = {
        one.condition["StringEquals"]["iam:PassedToService"][0]
        for one in by_sid.values()
        if one.actions == ("iam:PassRole",) and one.condition
    }
    assert passed == {"sagemaker.amazonaws.com", "codebuild.amazonaws.com", "lambda.amazonaws.com"}


@pytest.mark.parametrize("part", Part)
def test_each_part_fits_a_managed_policy(part: Part):
    policy = deployer_policy(SCOPE, (part,))
    assert len("".join(json.dumps(policy, separators=(",", ":")).split())) <= LONGEST_MANAGED
    sids = [statement["Sid"] for statement in deployer_policy(SCOPE)["Statement"]]
    assert len(sids) == len(set(sids))


def test_the_command_prints_it_for_this_account(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)

    words = ["iam", "deployer-policy", "--stage", "anna", "--account", "123456789012"]
    assert cli.main([*words, "--partition", "aws-cn", "--region", "cn-north-1", "--part", "image"]) == 0
    told = json.loads(capsys.readouterr().out)
    resources = [resource for one in told["Statement"] for resource in one["Resource"]]
    assert "arn:aws-cn:codebuild:cn-north-1:123456789012:project/imagine-anna-image" in resources
    assert account.calls == []
    assert cli.main(["iam", "deployer-policy", "--stage", "Not A Stage"]) == 1
