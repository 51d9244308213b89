"""What would stop an apply half-way, looked for before anything is made."""

from collections.abc import Collection

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.endpoint.errors import BucketElsewhere
from infra.endpoint.plan import Action, Step
from infra.endpoint.wanted import Wanted
from infra.quota.quotas import need_endpoint_quota

OLD_NAMES = {None: "us-east-1", "EU": "eu-west-1"}
"""What GetBucketLocation says of the oldest two regions (S3 API reference)."""


def preflight(goal: Wanted, clients: ServiceClients, steps: Collection[Step]) -> None:
    """Reads only, and nothing where `steps` make nothing. Raises BucketElsewhere, QuotaTooSmall."""
    new = {step.kind for step in steps if step.action in {Action.MAKE, Action.CHANGE}}
    if new & {"model", "endpoint config"}:
        check_buckets(goal, clients)
    if "endpoint" in new:
        need_endpoint_quota(clients, goal.settings)


def check_buckets(goal: Wanted, clients: ServiceClients) -> None:
    """SageMaker reads models and writes results only in its own region. Raises BucketElsewhere."""
    models = goal.settings.model.removeprefix("s3://").partition("/")[0]
    for bucket in sorted({goal.place.bucket, models} - {""}):
        where = region_of(bucket, clients)
        if where not in {None, goal.place.region}:
            raise BucketElsewhere(bucket, where=str(where), wanted=goal.place.region)


def region_of(bucket: str, clients: ServiceClients) -> str | None:
    """None where we may not know: it is somebody else's."""
    try:
        told = clients["s3"].get_bucket_location(Bucket=bucket)["LocationConstraint"]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"AccessDenied", "403"}:
            return None
        raise
    return str(OLD_NAMES.get(told, told))
