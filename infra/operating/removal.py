"""Taking a stage away: the stack by itself, and its data only for somebody who names it.

The table and the pictures' bucket outlive their stack (infra/serverless/jobs.yml, pictures.yml); the next
`imagine deploy` of the stage takes them in again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from bot.aws.clients import ServiceClients
from bot.aws.secrets import Store
from infra.operating.deployment import parameter_name
from infra.operating.errors import OperatingError, StillInUse
from infra.operating.secret_store import KINDS, reference_of

WAIT: Mapping[str, int] = {"Delay": 5, "MaxAttempts": 240}
GONE = ("ResourceNotFoundException", "NoSuchBucket", "NoSuchTagSet", "404", "ValidationException")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is of a stage. `made` counts what the stack holds, by CloudFormation's kinds."""

    stage: str
    has_stack: bool
    made: Mapping[str, int]
    artifacts: tuple[str, ...]
    buckets: tuple[str, ...]
    tables: tuple[str, ...]
    parameters: tuple[str, ...]
    logs: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"imagine-{self.stage}"

    @property
    def data(self) -> tuple[tuple[str, str], ...]:
        """What stays unless the stage is named, as kind and name."""
        kinds = (
            ("bucket", self.buckets),
            ("table", self.tables),
            ("parameter", self.parameters),
            ("log group", self.logs),
        )
        return tuple((kind, name) for kind, names in kinds for name in names)

    @property
    def is_empty(self) -> bool:
        return not (self.has_stack or self.data)


def take_inventory(clients: ServiceClients, *, stage: str) -> Inventory:
    """Look, and change nothing. Raises StillInUse while the stage has an endpoint, which needs the stack."""
    name = f"imagine-{stage}"
    if _there(lambda: clients["sagemaker"].describe_endpoint(EndpointName=name)):
        raise StillInUse(
            f"the endpoint {name} is there: it may bill by the hour, and needs the stack to be deleted well. "
            f"First: imagine endpoint delete --stage {stage}"
        )
    resources = _resources(clients, name)
    in_stack = [told["PhysicalResourceId"] for told in resources if told["ResourceType"] == "AWS::S3::Bucket"]
    pictures = _own_buckets(clients, stage, _pictures(clients, name))
    return Inventory(
        stage=stage,
        has_stack=bool(resources),
        made=Counter(told["ResourceType"] for told in resources),
        artifacts=tuple(bucket for bucket in in_stack if bucket not in pictures),
        buckets=pictures,
        tables=(name,) if _there(lambda: clients["dynamodb"].describe_table(TableName=name)) else (),
        parameters=_parameters(clients, stage),
        logs=_logs(clients, name),
    )


def remove_service(clients: ServiceClients, inventory: Inventory, *, told: Tell) -> None:
    """Delete the stack; what is retained stays. Killed anywhere, the same call does the rest."""
    if not inventory.has_stack:
        return
    for bucket in inventory.artifacts:
        told(f"emptying {bucket}, which holds deployed zips")
        empty_bucket(clients, bucket)
    told(f"deleting the stack {inventory.name}; this takes some minutes")
    cloudformation = clients["cloudformation"]
    cloudformation.delete_stack(StackName=inventory.name)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=inventory.name, WaiterConfig=WAIT)
    except WaiterError as failed:
        raise OperatingError(
            f"CloudFormation did not delete {inventory.name}; its events say why: aws cloudformation "
            f"describe-stack-events --stack-name {inventory.name}. Mend that and run this again"
        ) from failed


def remove_data(clients: ServiceClients, inventory: Inventory, *, told: Tell) -> None:
    """Delete what `remove_service` leaves, for good."""
    for bucket in inventory.buckets:
        told(f"emptying and deleting the bucket {bucket}")
        empty_bucket(clients, bucket)
        clients["s3"].delete_bucket(Bucket=bucket)
    for table in inventory.tables:
        told(f"deleting the table {table}")
        clients["dynamodb"].update_table(TableName=table, DeletionProtectionEnabled=False)
        clients["dynamodb"].delete_table(TableName=table)
    if inventory.parameters:
        told(f"deleting {', '.join(inventory.parameters)}")
        clients["ssm"].delete_parameters(Names=list(inventory.parameters))
    for group in inventory.logs:
        told(f"deleting the log group {group}")
        clients["logs"].delete_log_group(logGroupName=group)


def empty_bucket(clients: ServiceClients, bucket: str) -> None:
    """Delete every object in it, and every version of each. Raises OperatingError for what cannot go."""
    s3 = clients["s3"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        named = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        if not named:
            continue
        refused = s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True}).get("Errors")
        if refused:
            raise OperatingError(f"{bucket} keeps {len(refused)} objects: {refused[0]['Code']}")


def _resources(clients: ServiceClients, stack: str) -> list[dict[str, Any]]:
    try:
        pages = clients["cloudformation"].get_paginator("list_stack_resources").paginate(StackName=stack)
        return [told for page in pages for told in page["StackResourceSummaries"] if _lives(told)]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return []


def _lives(told: Mapping[str, Any]) -> bool:
    return told.get("ResourceStatus") != "DELETE_COMPLETE"


def _pictures(clients: ServiceClients, stack: str) -> str | None:
    try:
        told = clients["cloudformation"].describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in told.get("Outputs", ())}
    return outputs.get("PicturesBucket")


def _own_buckets(clients: ServiceClients, stage: str, named: str | None) -> tuple[str, ...]:
    """The bucket that the stack names; without a stack those that are tagged as of this stage."""
    if named is not None:
        return (named,) if _there(lambda: clients["s3"].head_bucket(Bucket=named)) else ()
    listed = clients["s3"].list_buckets()["Buckets"]
    candidates = [told["Name"] for told in listed if told["Name"].startswith(f"imagine-{stage}-")]
    return tuple(bucket for bucket in candidates if _tags(clients, bucket).get("stage") == stage)


def _tags(clients: ServiceClients, bucket: str) -> dict[str, str]:
    try:
        told = clients["s3"].get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        return {}
    return {tag["Key"]: tag["Value"] for tag in told}


def _parameters(clients: ServiceClients, stage: str) -> tuple[str, ...]:
    references = [reference_of(kind, stage=stage, store=Store.SSM) for kind in KINDS]
    names = [name for reference in references for name in (reference.name, reference.previous.name)]
    names.append(parameter_name(stage))
    told = clients["ssm"].get_parameters(Names=names, WithDecryption=False)["Parameters"]
    return tuple(sorted(parameter["Name"] for parameter in told))


def _logs(clients: ServiceClients, name: str) -> tuple[str, ...]:
    """The endpoint's: SageMaker's own, which no stack holds."""
    return tuple(_groups(clients, f"/aws/sagemaker/Endpoints/{name}"))


def _groups(clients: ServiceClients, exactly: str) -> Iterator[str]:
    told = clients["logs"].describe_log_groups(logGroupNamePrefix=exactly)["logGroups"]
    yield from (group["logGroupName"] for group in told if group["logGroupName"] == exactly)


def _there(read: Callable[[], object]) -> bool:
    try:
        read()
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] in GONE or "Could not find" in told["Message"]:
            return False
        raise
    return True
