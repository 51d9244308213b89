"""What a session in SageMaker Studio brings along: its role and region, and the bucket of a deployed stage.

Studio runs as a role that SageMaker may take, which AWS's own wizard names AmazonSageMaker-ExecutionRole-…
below service-role/ (SageMaker guide, "Execution roles"). An endpoint can run as that role too, where nobody
may make roles.
"""

from dataclasses import dataclass

from botocore.exceptions import ClientError

from infra.endpoint.clients import AwsClients
from infra.endpoint.place import find_place

TAKEN_BY = "sagemaker.amazonaws.com"
WIZARD = "AmazonSageMaker-ExecutionRole-"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSession:
    """`role` is an ARN, empty where the session's is none of SageMaker's: then apply makes one."""

    region: str
    bucket: str
    role: str = ""

    @property
    def settings(self) -> str:
        """Lines for endpoint.toml."""
        return f'[role]\narn = "{self.role}"\n' if self.role else ""


def studio_session(clients: AwsClients, *, stage: str) -> StudioSession:
    """Raises NotDeployed, EndpointError."""
    place = find_place(clients, stage=stage)
    role = execution_role(clients, clients["sts"].get_caller_identity()["Arn"])
    return StudioSession(region=place.region, bucket=place.bucket, role=role)


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
