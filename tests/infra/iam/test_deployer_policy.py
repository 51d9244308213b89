"""`imagine iam deployer-policy`: what our own commands call is allowed, and hardly anything else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra import cli
from infra.deployer_policy import LONGEST_MANAGED, Part, Scope, deployer_policy, statements_of
from infra.endpoint.deletion import delete
from infra.endpoint.drawing import submit
from infra.endpoint.settings import EndpointSettings
from infra.endpoint.status import read_status
from infra.image.codebuild import CodeBuild, Order
from infra.image.recipe import RECIPES, Source
from infra.image.registry import Registry
from tests.infra.endpoint.account import Account

SCOPE = Scope(stage="dev", account="123456789012", region="us-east-1", models="models")
PREFIXES = {
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
    "monitoring": "cloudwatch",
}
RENAMED = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
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
    "sagemaker:UpdateEndpointWeightsAndCapacities": "scaling does it in the caller's name",
    # what docker does with the token, over the registry's own protocol
    "ecr:GetAuthorizationToken": "docker login",
    "ecr:BatchCheckLayerAvailability": "docker push",
    "ecr:CompleteLayerUpload": "docker push",
    "ecr:InitiateLayerUpload": "docker push",
    "ecr:PutImage": "docker push",
    "ecr:UploadLayerPart": "docker push",
    # commands that this test does not run
    "application-autoscaling:DeleteScalingPolicy": "the fix that imagine doctor prints",
    "application-autoscaling:DeleteScheduledAction": "imagine endpoint schedule",
    "application-autoscaling:PutScheduledAction": "imagine endpoint warm",
    "ecr:BatchGetImage": "imagine doctor",
    "ecr:GetDownloadUrlForLayer": "imagine doctor",
    "iam:SimulatePrincipalPolicy": "imagine doctor",
    "iam:UpdateAssumeRolePolicy": "imagine endpoint apply, where somebody changed the role",
    "logs:FilterLogEvents": "imagine endpoint logs",
    "logs:GetLogEvents": "imagine image push --codebuild, imagine train",
    "s3:AbortMultipartUpload": "imagine models upload",
    "s3:DeleteObject": "imagine models remove",
    "s3:GetBucketLocation": "imagine doctor",
    "s3:GetBucketNotification": "imagine doctor",
    "s3:GetObject": "imagine endpoint test",
    "s3:ListBucket": "imagine models list",
    "s3:ListBucketMultipartUploads": "imagine models upload",
    "s3:ListMultipartUploadParts": "imagine models upload",
    "sagemaker:CreateTrainingJob": "imagine train",
    "sagemaker:DescribeTrainingJob": "imagine train",
    "sagemaker:ListEndpoints": "imagine doctor",
    "sagemaker:ListTrainingJobs": "imagine train",
    "sagemaker:StopTrainingJob": "imagine train --stop",
    "sagemaker:UpdateEndpoint": "imagine endpoint update",
    "servicequotas:ListAWSDefaultServiceQuotas": "imagine quota",
    "servicequotas:ListRequestedServiceQuotaChangeHistory": "imagine quota",
    "servicequotas:ListServiceQuotas": "imagine quota",
    "servicequotas:RequestServiceQuotaIncrease": "imagine quota request",
    "sns:GetTopicAttributes": "imagine doctor",
    "sns:ListSubscriptionsByTopic": "imagine doctor",
    "ssm:GetParameter": "imagine doctor",
    "ssm:GetParameters": "imagine doctor",
    "ssm:PutParameter": "the fix that imagine doctor prints",
    "cloudformation:DescribeStacks": "every verb, to find the stage",
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


def live(account: Account) -> None:
    """An endpoint from nothing to a picture asked for and to nothing; an image built in the account."""
    account["logs"].create_log_group(logGroupName="/aws/sagemaker/other")
    account.calls.clear()
    account.apply()
    account.apply(account.goal(idle_minutes=20, backlog_target=2, engine="webui"))
    read_status(
        "imagine-dev", account, region="us-east-1", variant="AllTraffic", now=account.stand.region.now()
    )
    submit("imagine-dev", account, {"task": "text-to-image"}, EndpointSettings())
    delete(account.place, account, waits=account.waits)
    registry = Registry(account)
    address = registry.ensure("imagine-embedded", tags={})
    order = Order(source=Source(recipe=RECIPES["embedded"]), repository="imagine-embedded", address=address)
    place = replace(account.place, account=account.stand.cloud.account_id)
    CodeBuild(clients=account, place=place, told=lambda _: None, pause=account.stand.advance).push([order])
    registry.held("imagine-embedded")


def test_what_is_called_is_allowed_and_what_is_allowed_is_called(account: Account):
    live(account)
    rights, calls = allowed(Part.ENDPOINT, Part.IMAGE), called(account)

    assert calls - rights == set(), "called and not allowed"
    assert rights - calls - UNCALLED.keys() == set(), "allowed, and nobody says why"
    assert UNCALLED.keys() - rights == set(), "explained, and not allowed"


def test_no_action_has_a_star_and_few_resources_are_everything():
    for part in Part:
        for statement in statements_of(SCOPE, part):
            assert not any("*" in action for action in statement.actions)
            if statement.resources == ("*",):
                assert statement.sid in {"AccessLog", "Lists", "RegistryLogin", "Template"}
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
