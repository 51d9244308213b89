"""What lies in the queue of dead events: which function it was for, and what that would be given again.

Three senders put messages there: Lambda the record of an invocation (guide: "Retaining records of
asynchronous invocations"), SNS a notice that it could not hand over, the schedule a minute that it could not
start.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.aws.result_objects import job_id_in
from bot.domain.errors import Refused
from bot.domain.steering import OURSELVES, Asked

NOBODYS = "nobody's message"
MINUTE = "minute of the schedule"
UNKNOWN = "event of an unknown kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadEvent:
    """`function` is the name without the stage, "" where nothing is to be sent again; `payload` is what it is
    given. `kind` and `cause` are words of ours and kinds of error, never what the event says.
    """

    kind: str
    function: str = ""
    job: str | None = None
    cause: str = ""
    payload: object = None
    is_past: bool = False
    """Whether its time is over: a minute of the schedule is not made up for."""


def read_event(body: str, *, stage: str) -> DeadEvent:
    """Never raises: what cannot be read is nobody's."""
    record = _object(body)
    if isinstance(record.get("requestContext"), dict) and "requestPayload" in record:
        return _invocation(record, stage)
    if record.get("Type") == "Notification":
        sns = {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "", "Sns": record}
        payload = {"Records": [sns]}
        return DeadEvent(function="failure", payload=payload, cause="not handed over", **_told_of(payload))
    if _is_minute(record):
        return DeadEvent(kind=MINUTE, is_past=True)
    return DeadEvent(kind=NOBODYS)


def error_type(payload: bytes) -> str:
    """Of a function's error answer."""
    return str(_object(payload.decode(errors="replace")).get("errorType", "no reason told"))


def _invocation(record: Mapping[str, Any], stage: str) -> DeadEvent:
    context, prefix = record["requestContext"], f"imagine-{stage}-"
    name = str(context.get("functionArn", "")).partition(":function:")[2].partition(":")[0]
    if not name.startswith(prefix):
        return DeadEvent(kind="event of another function")
    response, payload = record.get("responsePayload"), record["requestPayload"]
    failed = response.get("errorType") if isinstance(response, dict) else None
    cause = " ".join(str(part) for part in (context.get("condition"), failed) if part)
    if isinstance(payload, dict) and _is_minute(payload):
        return DeadEvent(kind=MINUTE, cause=cause, is_past=True)
    function = name.removeprefix(prefix)
    return DeadEvent(function=function, payload=payload, cause=cause, **_told_of(payload))


def _is_minute(event: Mapping[str, Any]) -> bool:
    return event.get("detail-type") == "Scheduled Event"


def _told_of(payload: object) -> dict[str, Any]:
    """The kind of event, by its shape, and its job. Orders hold addresses that answer: never told."""
    if not isinstance(payload, dict):
        return {"kind": UNKNOWN}
    if payload.get("Event") == "s3:TestEvent":
        return {"kind": "test event of S3"}
    records = payload.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        return _told_of_record(records[0])
    return {"kind": _kind_of_order(payload)}


def _told_of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    if record.get("EventSource") == "aws:sns":
        return {"kind": "notice of a failed drawing", "job": _job_of_notice(record)}
    if record.get("eventSource") == "aws:s3":
        return {"kind": "object that arrived", "job": _job_of_object(record)}
    return {"kind": UNKNOWN}


def _kind_of_order(payload: Mapping[str, Any]) -> str:
    try:
        asked = Asked.of(payload)
    except Refused:
        return UNKNOWN
    return "order for waiting jobs" if asked.by == OURSELVES else "order of an admin"


def _job_of_notice(record: Mapping[str, Any]) -> str | None:
    sns = record.get("Sns")
    told = _object(str(sns.get("Message"))) if isinstance(sns, dict) else {}
    return job_id_in(str(told.get("inferenceId", "")))


def _job_of_object(record: Mapping[str, Any]) -> str | None:
    told: Any = record
    for part in ("s3", "object", "key"):
        told = told.get(part) if isinstance(told, dict) else None
    return job_id_in(str(told).rpartition("/")[2]) or job_id_in(str(told))


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
