"""What S3, SNS, SQS and the schedule tell the functions, read once into small facts.

An event says only which job to look at, and that is never trusted: the row decides. What is not ours, or
not built as AWS builds it, becomes a Refusal, one for each record; nothing here raises.
Shapes: powertools' data classes, AWS Lambda guide ("Using AWS Lambda with ..."), and for notices of failed
drawings the SageMaker guide ("Check prediction results").
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord
from aws_lambda_powertools.utilities.data_classes.sns_event import SNSEventRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from bot.aws.result_objects import answers_question, failure_body, job_id_in
from bot.aws.sqs_queue import job_of

LONGEST_KEY = 1024
"""Bytes of an S3 key, decoded."""

_ODD_SHAPE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


class Reason(StrEnum):
    """Why an event is refused; the values are what the log and the count `foreign_event` say."""

    ACCOUNT = "account"
    BUCKET = "bucket"
    JOB = "job"
    KEY = "key"
    QUEUE = "queue"
    SHAPE = "shape"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The names that an event must bear: `account` is 12 digits, `queue` a name, `topic` an ARN."""

    account: str
    bucket: str
    queue: str
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An event, or one record of it, that is not for us."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An object arrived under `key`; it is about the job `job_id`."""

    job_id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureNotice:
    """SageMaker gave submission `submission` up; `body` says why in the words of a failure object."""

    job_id: str
    submission: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unneeded:
    """Ours, and nothing is to be done: the object that a submission ended with says the rest, or the sweep
    looks for the answer to its own question.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the queue. `job_id` is None when nobody of ours wrote it."""

    message_id: str
    job_id: str | None


Fact = TypeVar("Fact")


def arrivals(event: object, ours: Ours, *, folder: str) -> list[Arrival | Unneeded | Refusal]:
    """Objects that S3 says arrived under `folder` of our bucket. S3's own test event holds none."""
    if isinstance(event, Mapping) and event.get("Event") == "s3:TestEvent":
        return []
    return list(_each(event, lambda record: _arrival(S3EventRecord(record), ours, folder)))


def notices(event: object, ours: Ours) -> list[Arrival | FailureNotice | Unneeded | Refusal]:
    """What a failure function hears: objects under `failed/`, and SNS notices of the endpoint."""

    def read(record: dict[str, Any]) -> Arrival | FailureNotice | Unneeded | Refusal:
        if record.get("EventSource") == "aws:sns":
            return _notice(SNSEventRecord(record), ours)
        return _arrival(S3EventRecord(record), ours, "failed/")

    if isinstance(event, Mapping) and event.get("Event") == "s3:TestEvent":
        return []
    return list(_each(event, read))


def messages(event: object, ours: Ours) -> list[Message | Refusal]:
    """The messages of a batch from our queue."""
    return list(_each(event, lambda record: _message(SQSRecord(record), ours)))


def tick(event: object, ours: Ours) -> Refusal | None:
    """None when the event is our schedule's."""
    if not isinstance(event, Mapping) or event.get("detail-type") != "Scheduled Event":
        return Refusal(reason=Reason.SHAPE)
    return None if event.get("account") == ours.account else Refusal(reason=Reason.ACCOUNT)


def _each(event: object, read: Callable[[dict[str, Any]], Fact]) -> Iterator[Fact | Refusal]:
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list) or not records:
        yield Refusal(reason=Reason.SHAPE)
        return
    for record in records:
        try:
            yield read(record)
        except _ODD_SHAPE:
            yield Refusal(reason=Reason.SHAPE)


def _arrival(record: S3EventRecord, ours: Ours, folder: str) -> Arrival | Unneeded | Refusal:
    if record["eventSource"] != "aws:s3" or not record.event_name.startswith("ObjectCreated:"):
        return Refusal(reason=Reason.SHAPE)
    if record.s3.bucket.name != ours.bucket:
        return Refusal(reason=Reason.BUCKET)
    key = unquote_plus(record.s3.get_object.key)
    job_id = job_id_in(key.removeprefix(folder))
    if not key.startswith(folder) or len(key.encode()) > LONGEST_KEY or job_id is None:
        return Refusal(reason=Reason.KEY)
    if answers_question(key):
        return Unneeded()
    return Arrival(job_id=job_id, key=key)


def _notice(record: SNSEventRecord, ours: Ours) -> FailureNotice | Unneeded | Refusal:
    if record.sns.topic_arn != ours.topic:
        return Refusal(reason=Reason.TOPIC)
    told = json.loads(record.sns.message)
    if told["invocationStatus"] == "Completed" or answers_question(str(told["inferenceId"])):
        return Unneeded()
    tenant, job_id, submission = str(told["inferenceId"]).split(".")
    if told["invocationStatus"] != "Failed" or job_id_in(job_id) != job_id or not tenant:
        return Refusal(reason=Reason.JOB)
    reason = told.get("failureReason")
    body = failure_body(reason if isinstance(reason, str) else "")
    return FailureNotice(job_id=job_id, submission=int(submission), body=body)


def _message(record: SQSRecord, ours: Ours) -> Message | Refusal:
    _, _, service, _, account, queue = str(record["eventSourceARN"]).split(":")
    if service != "sqs" or (account, queue) != (ours.account, ours.queue):
        return Refusal(reason=Reason.QUEUE)
    return Message(message_id=str(record.message_id), job_id=job_of(record.body))
