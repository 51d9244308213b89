"""Parts of the deployed stage out of order, or otherwise than deployed, for the length of a block."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from infra.local.slack.testing import Shown
from infra.rehearsal.rights import roles_of
from infra.rehearsal.stage import BUCKET, NAME, Stage

OUTAGE = "outage"
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]}

Variables = Mapping[str, str]


@contextmanager
def no_worker(stage: Stage) -> Iterator[None]:
    """The queue wakes nobody: what is accepted meanwhile waits for the end of the block."""
    functions, worker = stage.clients["lambda"], stage.function("worker")
    (mapping,) = functions.list_event_source_mappings(FunctionName=worker)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextmanager
def accepted(stage: Stage, words: str) -> Iterator[Callable[[], Shown]]:
    """A job that no worker takes on meanwhile. Gives a way to its card, which is there afterwards."""
    number = len(stage.slack.messages())
    with no_worker(stage):
        stage.accept(words)
        yield lambda: stage.card(number)


@contextmanager
def no_events(stage: Stage) -> Iterator[None]:
    """The bucket tells nobody of what arrives."""
    s3 = stage.clients["s3"]
    told = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    told.pop("ResponseMetadata", None)
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    try:
        yield
    finally:
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=told)


@contextmanager
def no_table(stage: Stage, function: str) -> Iterator[None]:
    """The function's role may not use the table."""
    (role,) = roles_of(stage.clients, [stage.function(function)])
    iam = stage.clients["iam"]
    iam.put_role_policy(RoleName=role.name, PolicyName=OUTAGE, PolicyDocument=json.dumps(DENY))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role.name, PolicyName=OUTAGE)


@contextmanager
def nudges_again_at_once(stage: Stage) -> Iterator[None]:
    """What the worker could not take comes again after a second, and not after nine minutes."""
    sqs, url = stage.clients["sqs"], queue_url(stage, "nudges")
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=told)


@contextmanager
def variables(stage: Stage, function: str, change: Callable[[Variables], Variables]) -> Iterator[None]:
    """The function is configured otherwise, and starts anew with that."""
    functions, name = stage.clients["lambda"], stage.function(function)
    deployed = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": dict(change(deployed))}
    )
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": deployed})


@contextmanager
def code(stage: Stage, package: bytes, *, now: bytes, functions: Sequence[str]) -> Iterator[None]:
    """Functions run another zip, and again what they run `now` afterwards."""
    _update(stage, functions, package)
    try:
        yield
    finally:
        _update(stage, functions, now)


def queue_url(stage: Stage, name: str) -> str:
    """Of a queue of the stage, such as `nudges`."""
    return str(stage.clients["sqs"].get_queue_url(QueueName=f"{NAME}-{name}")["QueueUrl"])


def _update(stage: Stage, functions: Sequence[str], package: bytes) -> None:
    for function in functions:
        stage.clients["lambda"].update_function_code(FunctionName=stage.function(function), ZipFile=package)
