"""status and logs: the verbs that only look."""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.commands.endpoint.shared import Context, Parsers, add_options, number
from infra.endpoint.errors import EndpointError
from infra.endpoint.status import Status

FOLLOW_EVERY = 5.0


def add_parsers(verbs: Parsers) -> None:
    status = verbs.add_parser("status", help="how it stands: instances, backlog, last failure, today's price")
    status.set_defaults(run=run_status)
    add_options(status)
    logs = verbs.add_parser("logs", help="what the container logged; it never logs prompts")
    logs.add_argument(
        "--minutes", type=number(1, whole=True), default=30, help="how far back (default: %(default)s)"
    )
    logs.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    logs.set_defaults(run=run_logs)
    add_options(logs)


def run_status(arguments: argparse.Namespace) -> int:
    """Raises EndpointError where there is no endpoint."""
    context = Context(arguments)
    status = context.status()
    if status is None:
        raise EndpointError(f"there is no endpoint {context.name}; imagine endpoint apply makes it")
    if arguments.json:
        print(json.dumps(_told(status)))
        return 0
    for label, text in _lines(status):
        print(f"{label:<14}{text}")
    return 0


def _lines(status: Status) -> Iterator[tuple[str, str]]:
    yield "endpoint", f"{status.name}, {status.status}"
    yield "instances", f"{status.instances} of {status.desired} wanted ({', '.join(status.types)})"
    if status.bounds is None:
        yield "scaling", "none; imagine endpoint apply sets it up"
    else:
        yield "scaling", f"from {status.bounds[0]} to {status.bounds[1]} instances"
    yield "backlog", "not measured lately" if status.backlog is None else _backlog(status)
    for action in status.scheduled:
        yield "scheduled", f"minimum {action.minimum} at {action.schedule} {action.zone}"
    if status.office_hours:
        yield "office hours", status.office_hours
    if status.reason:
        yield "last failure", status.reason
    if status.last_scaling:
        yield "last scaling", status.last_scaling
    yield "today", status.spent_today
    yield "an hour", status.price.of(1)


def _backlog(status: Status) -> str:
    oldest = f", the oldest for {status.oldest:.0f} s" if status.backlog and status.oldest else ""
    return f"{status.backlog} waiting or drawing{oldest}"


def _told(status: Status) -> dict[str, Any]:
    return {
        "name": status.name,
        "status": status.status,
        "reason": status.reason,
        "config": status.config,
        "instances": status.instances,
        "desired": status.desired,
        "types": status.types,
        "minimum": status.bounds[0] if status.bounds else None,
        "maximum": status.bounds[1] if status.bounds else None,
        "backlog": status.backlog,
        "oldest_seconds": status.oldest,
        "instance_minutes_today": status.minutes_today,
        "dollars_an_hour": status.price.hourly,
        "price_basis": status.price.basis,
        "office_hours": status.office_hours,
        "last_scaling": status.last_scaling,
    }


def run_logs(arguments: argparse.Namespace) -> int:
    """Print the newest lines, oldest first. Raises EndpointError where there is no log group."""
    context = Context(arguments)
    group = f"/aws/sagemaker/Endpoints/{context.name}"
    since = time.time() - arguments.minutes * 60
    while True:
        for event in _events(context.clients["logs"], group, since):
            since = max(since, event["timestamp"] / 1000 + 0.001)
            print(json.dumps(event) if arguments.json else event["message"].rstrip(), flush=True)
        if not arguments.follow:
            return 0
        try:
            time.sleep(FOLLOW_EVERY)
        except KeyboardInterrupt:
            return 0


def _events(logs: Any, group: str, since: float) -> Iterator[dict[str, Any]]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
    try:
        for page in pages:
            for event in page["events"]:
                yield {"timestamp": event["timestamp"], "message": event["message"]}
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise EndpointError(f"there is no log group {group}; imagine endpoint apply makes it") from error
