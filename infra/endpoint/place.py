"""Where an endpoint belongs: stage, account, region, and what the deployed stack has that it needs."""

import re
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from infra.endpoint.clients import AwsClients
from infra.endpoint.errors import EndpointError, NotDeployed

STAGE = re.compile(r"[a-z][a-z0-9-]{0,19}")
VARIANT = "AllTraffic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One stage in one account. `bucket` and `error_topic` come from the stack's outputs.

    An endpoint may also stand by itself, without a deployed stage: then there is no topic, and everything
    lies below `prefix` of a bucket that others use too.
    """

    stage: str
    account: str
    region: str
    partition: str
    bucket: str
    error_topic: str = ""
    prefix: str = ""

    @property
    def name(self) -> str:
        """The endpoint's, and the beginning of all that belongs to it."""
        return f"imagine-{self.stage}"

    @property
    def resource_id(self) -> str:
        """Of its variant, for Application Auto Scaling."""
        return f"endpoint/{self.name}/variant/{VARIANT}"

    @property
    def log_group(self) -> str:
        """SageMaker writes there; it would make the group itself, and keep it for ever."""
        return f"/aws/sagemaker/Endpoints/{self.name}"

    @property
    def outputs(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}out/"

    @property
    def failures(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}failed/"


def endpoint_name(stage: str) -> str:
    """Of a stage. Raises EndpointError for what is no stage."""
    if not STAGE.fullmatch(stage):
        raise EndpointError(f"{stage!r} is no stage name: small letters, digits and hyphens, at most 20")
    return f"imagine-{stage}"


def find_place(clients: AwsClients, *, stage: str, otherwise: str | None = None) -> Place:
    """Ask AWS who we are and what is deployed; two calls. Raises NotDeployed, EndpointError.

    `otherwise`: the bucket of an endpoint that stands by itself, taken where the stage is not deployed.
    """
    name = endpoint_name(stage)
    identity = clients["sts"].get_caller_identity()
    alone = Place(
        stage=stage,
        account=identity["Account"],
        region=clients.region,
        partition=identity["Arn"].split(":")[1],
        bucket=otherwise or "",
        prefix=f"{name}/",
    )
    try:
        outputs = _outputs(clients["cloudformation"], name, stage)
    except NotDeployed:
        if otherwise is None:
            raise
        return alone
    try:
        return replace(alone, bucket=outputs["PicturesBucket"], error_topic=outputs["ErrorTopic"], prefix="")
    except KeyError as missing:
        raise NotDeployed(
            f"the stack imagine-{stage} has no output {missing}; run imagine deploy --stage {stage} again"
        ) from missing


def _outputs(cloudformation: Any, stack: str, stage: str) -> dict[str, str]:
    try:
        told = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise NotDeployed(
            f"stage {stage} is not deployed here; run imagine deploy --stage {stage} first"
        ) from error
    return {output["OutputKey"]: output["OutputValue"] for output in told.get("Outputs", [])}
