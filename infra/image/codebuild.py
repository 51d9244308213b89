"""Building in the account with CodeBuild, where no local engine or no room is.

The source goes to the stage's bucket under in/, which empties itself after a day. Project and role stay, and
cost nothing while nothing is built.
"""

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.aws.clients import ServiceClients
from infra.endpoint.place import Place
from infra.image.errors import BuildFailed
from infra.image.recipe import Source
from infra.role_policies import Told, allow, rights, trust

MACHINE = "BUILD_GENERAL1_MEDIUM"
MINUTES = 60
LOOK_EVERY = 10.0
POLICY = "imagine-image"
BUILDER_IMAGE = "aws/codebuild/standard:7.0"

BUILDSPEC = """version: 0.2
phases:
  build:
    commands:
      - aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY"
      - sh -e -c "$STEPS"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One image to build and push; `address` is its repository's."""

    source: Source
    repository: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBuild:
    """CodeBuild of one stage. `told` hears the build's own lines."""

    clients: ServiceClients
    place: Place
    told: Callable[[str], None]
    role_path: str = "/"
    permissions_boundary: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep

    @property
    def project(self) -> str:
        return f"{self.place.name}-image"

    @property
    def log_group(self) -> str:
        return f"/aws/codebuild/{self.project}"

    @property
    def role_arn(self) -> str:
        where = f"arn:{self.place.partition}:iam::{self.place.account}:role"
        return f"{where}{self.role_path}{self.project}"

    def push(self, orders: Sequence[Order]) -> None:
        """Build and push all of them in one build. Raises BuildFailed with its reason."""
        key = self._upload(orders[0].source)
        self._ensure_role(orders)
        self._ensure_project()
        build = self.clients["codebuild"].start_build(
            projectName=self.project,
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{self.place.bucket}/{key}",
            environmentVariablesOverride=[
                {"name": "REGISTRY", "value": orders[0].address.partition("/")[0], "type": "PLAINTEXT"},
                {"name": "STEPS", "value": "\n".join(steps(orders)), "type": "PLAINTEXT"},
            ],
        )["build"]
        self._follow(build["id"])

    def _upload(self, source: Source) -> str:
        key = f"in/image-source-{source.tag}.zip"
        self.clients["s3"].put_object(
            Bucket=self.place.bucket, Key=key, Body=source.archive(), ExpectedBucketOwner=self.place.account
        )
        return key

    def rights(self, orders: Sequence[Order]) -> Told:
        """What a build may do: read its source, push to these repositories, log."""
        place = self.place
        start = f"arn:{place.partition}"
        logs = f"{start}:logs:{place.region}:{place.account}:log-group:{self.log_group}"
        return rights(
            allow(["s3:GetObject"], [f"{start}:s3:::{place.bucket}/in/image-source-*"]),
            allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{logs}:*"]),
            allow(["ecr:GetAuthorizationToken"], ["*"]),
            allow(
                [
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:CompleteLayerUpload",
                    "ecr:InitiateLayerUpload",
                    "ecr:PutImage",
                    "ecr:UploadLayerPart",
                ],
                [
                    f"{start}:ecr:{place.region}:{place.account}:repository/{order.repository}"
                    for order in orders
                ],
            ),
        )

    def _ensure_role(self, orders: Sequence[Order]) -> None:
        iam = self.clients["iam"]
        try:
            iam.get_role(RoleName=self.project)
        except iam.exceptions.NoSuchEntityException:
            limited = {"PermissionsBoundary": self.permissions_boundary} if self.permissions_boundary else {}
            iam.create_role(
                RoleName=self.project,
                Path=self.role_path,
                AssumeRolePolicyDocument=json.dumps(
                    trust("codebuild.amazonaws.com", account=self.place.account)
                ),
                Tags=self._tags("Key", "Value"),
                **limited,
            )
            iam.get_waiter("role_exists").wait(RoleName=self.project)
        iam.put_role_policy(
            RoleName=self.project, PolicyName=POLICY, PolicyDocument=json.dumps(self.rights(orders))
        )

    def _ensure_project(self) -> None:
        codebuild, logs = self.clients["codebuild"], self.clients["logs"]
        groups = logs.describe_log_groups(logGroupNamePrefix=self.log_group)["logGroups"]
        if not any(group["logGroupName"] == self.log_group for group in groups):
            logs.create_log_group(logGroupName=self.log_group)
            logs.put_retention_policy(logGroupName=self.log_group, retentionInDays=30)
        if codebuild.batch_get_projects(names=[self.project]).get("projects"):
            return
        codebuild.create_project(
            name=self.project,
            description="Builds the images of imagine; made by imagine image push --codebuild",
            source={
                "type": "S3",
                "location": f"{self.place.bucket}/in/image-source.zip",
                "buildspec": BUILDSPEC,
            },
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": BUILDER_IMAGE,
                "computeType": MACHINE,
                "privilegedMode": True,
            },
            serviceRole=self.role_arn,
            timeoutInMinutes=MINUTES,
            logsConfig={"cloudWatchLogs": {"status": "ENABLED", "groupName": self.log_group}},
            tags=self._tags("key", "value"),
        )

    def _follow(self, build: str) -> None:
        """Tell its lines until it ends. Raises BuildFailed."""
        seen: str | None = None
        while True:
            told = self.clients["codebuild"].batch_get_builds(ids=[build])["builds"][0]
            seen = self._tell_lines(told.get("logs", {}).get("streamName"), seen)
            if told["buildStatus"] == "SUCCEEDED":
                return
            if told["buildStatus"] != "IN_PROGRESS":
                self.pause(LOOK_EVERY)  # the last lines, which say why, come after the build's end
                self._tell_lines(told.get("logs", {}).get("streamName"), seen)
                raise BuildFailed(
                    f"CodeBuild ended with {told['buildStatus']}{_reason(told)}; its log is {self.log_group}"
                )
            self.pause(LOOK_EVERY)

    def _tell_lines(self, stream: str | None, seen: str | None) -> str | None:
        """What was logged since `seen`, page by page; the mark for the next time."""
        logs = self.clients["logs"]
        if stream is None:
            return seen
        while True:
            since = {"nextToken": seen} if seen else {}
            named = {"logGroupName": self.log_group, "logStreamName": stream}
            try:
                told = logs.get_log_events(**named, startFromHead=True, **since)
            except logs.exceptions.ResourceNotFoundException:
                return seen
            for event in told["events"]:
                self.told(event["message"].rstrip())
            seen = told["nextForwardToken"]
            if not told["events"]:
                return seen

    def _tags(self, key: str, value: str) -> list[dict[str, str]]:
        tags = {"service": "imagine", "stage": self.place.stage, **self.tags}
        return [{key: name, value: text} for name, text in sorted(tags.items())]


def _reason(told: Mapping[str, Any]) -> str:
    """Where it failed and why, in CodeBuild's words."""
    failed = [phase for phase in told.get("phases", ()) if phase.get("contexts")]
    words = [context.get("message", "") for phase in failed for context in phase["contexts"]]
    said = "; ".join(word.strip() for word in words if word.strip())
    return f" in {failed[-1]['phaseType']}: {said}" if said else ""


def steps(orders: Sequence[Order]) -> list[str]:
    """Shell lines: each image built with what it stands on, then pushed under its tag."""
    lines: list[str] = []
    for order in orders:
        chain = [order.source] if order.source.base is None else [order.source.base, order.source]
        lines += [line for line in map(_build_line, chain) if line not in lines]
        local = order.source.local_name
        reference = f"{order.address}:{local.rpartition(':')[2]}"
        lines += [f"docker tag {local} {reference}", f"docker push {reference}"]
    return lines


def _build_line(source: Source) -> str:
    words = " ".join(
        shlex.join(["--build-arg", f"{name}={value}"]) for name, value in source.build_arguments().items()
    )
    file = f"container/{source.recipe.file}"
    return f"docker build --file {file} --tag {source.local_name} {words} ."
