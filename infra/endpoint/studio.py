"""What a session in SageMaker Studio brings along: its region, its role and its bucket.

As AWS's own SDK takes them (SageMaker Python SDK, "Session"): the region of the boto3 session; the execution
role that Studio names in a file, else the role behind the session's credentials, which AWS's wizard names
AmazonSageMaker-ExecutionRole-… below service-role/; and the bucket sagemaker-REGION-ACCOUNT. Where the stage
is deployed its bucket comes first: the bot looks for pictures there.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from infra.endpoint.clients import AwsClients
from infra.endpoint.errors import EndpointError
from infra.endpoint.place import find_place

TAKEN_BY = "sagemaker.amazonaws.com"
WIZARD = "AmazonSageMaker-ExecutionRole-"
METADATA = Path("/opt/ml/metadata/resource-metadata.json")
"""Where Studio and notebook instances say what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSession:
    """`role` is an ARN, empty where the session's is none of SageMaker's: then apply makes one.

    `deployed`: the bucket is the stage's.
    """

    region: str
    bucket: str
    deployed: bool
    role: str = ""

    @property
    def settings(self) -> str:
        """Lines for endpoint.toml, to be put behind its own keys and before its tables."""
        bucket = "" if self.deployed else f'bucket = "{self.bucket}"\n'
        return bucket + (f'[role]\narn = "{self.role}"\n' if self.role else "")


def studio_session(clients: AwsClients, *, stage: str, metadata: Path = METADATA) -> StudioSession:
    """Makes the session's bucket where neither it nor the stage is there. Raises EndpointError."""
    place = find_place(clients, stage=stage, otherwise="")
    caller = clients["sts"].get_caller_identity()["Arn"]
    return StudioSession(
        region=place.region,
        bucket=place.bucket or default_bucket(clients, account=place.account),
        deployed=bool(place.bucket),
        role=_named_role(metadata) or execution_role(clients, caller),
    )


def default_bucket(clients: AwsClients, *, account: str) -> str:
    """The session's bucket, made where it is not there. Raises EndpointError where somebody else has it."""
    s3, region = clients["s3"], clients.region
    name = f"sagemaker-{region}-{account}"
    try:
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise EndpointError(
                f"the bucket {name} is not this account's, or this session may not use it; name one in "
                "endpoint.toml: bucket"
            ) from error
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    return name


def execution_role(clients: AwsClients, caller: str) -> str:
    """The role behind a caller's ARN, if SageMaker may take it; else ""."""
    _, partition, _, _, account, who = caller.split(":", 5)
    kind, _, rest = who.partition("/")
    name = rest.partition("/")[0]
    if kind != "assumed-role":
        return ""
    try:
        role = clients["iam"].get_role(RoleName=name)["Role"]
    except ClientError:
        is_wizards = name.startswith(WIZARD)  # a role that may not look at itself
        return f"arn:{partition}:iam::{account}:role/service-role/{name}" if is_wizards else ""
    return str(role["Arn"]) if TAKEN_BY in str(role["AssumeRolePolicyDocument"]) else ""


def _named_role(metadata: Path) -> str:
    """The role that Studio says it runs as; "" elsewhere."""
    try:
        told = json.loads(metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(told.get("ExecutionRoleArn") or "")
