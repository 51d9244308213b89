"""What a stage's functions and its endpoint wrote to CloudWatch Logs. Prompts are never in there."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.aws.clients import ServiceClients
from infra.operating.errors import NoSuchLog, OperatingError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")
ENDPOINT = "endpoint"
OVERLAP = 15.0
"""Seconds that a following look goes back: CloudWatch takes lines in late."""

LIBRARY_KEYS = ("level", "timestamp", "service", "function", "message", "fields", "location", "sampling_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`source` is the function's name without the stage, or "endpoint"."""

    source: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`at` is seconds since the epoch, `id` CloudWatch's own."""

    at: float
    source: str
    text: str
    id: str

    @property
    def told(self) -> str:
        """On one line for people: our own JSON as `event key=value`, anything else as it is."""
        moment = datetime.fromtimestamp(self.at, tz=UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S} {self.source:<9} {_readable(self.text)}"


def seconds_of(span: str) -> float:
    """`10m` is 600.0. Raises OperatingError."""
    match = SPAN.fullmatch(span)
    if match is None:
        raise OperatingError(f"{span!r} is no span of time; write 30s, 10m, 2h or 1d")
    return float(match[1]) * UNITS[match[2]]


def groups_of(clients: ServiceClients, *, stage: str) -> list[Group]:
    """Every log group of the stage, the functions' first. Raises NoSuchLog where there is none.

    A group of the stage dev-2 begins like one of dev, but no function has a hyphen in its name.
    """
    prefixes = {f"/aws/lambda/imagine-{stage}-": "", f"/aws/sagemaker/Endpoints/imagine-{stage}": ENDPOINT}
    found = []
    for prefix, source in prefixes.items():
        pages = clients["logs"].get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        found += [
            Group(source=source or name.removeprefix(prefix), name=name)
            for name in names
            if (name == prefix if source else name.removeprefix(prefix).isalpha())
        ]
    if not found:
        raise NoSuchLog(f"there is no log of stage {stage} here: is the stage deployed?")
    return found


def group_named(groups: list[Group], source: str) -> Group:
    """Raises NoSuchLog listing those that there are."""
    for group in groups:
        if group.source == source:
            return group
    raise NoSuchLog(f"{source} has no log; there are {', '.join(group.source for group in groups)}")


def pattern_of(*, request: str | None, job: str | None) -> str:
    """CloudWatch's filter for a Lambda request id or a job id. Raises OperatingError for odd characters."""
    wanted = [text for text in (request, job) if text]
    for text in wanted:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
            raise OperatingError(f"{text!r} is no id")
    return " ".join(f'"{text}"' for text in wanted)


class LogReader:
    """Reads several groups as one, oldest first."""

    def __init__(self, clients: ServiceClients, groups: list[Group], *, pattern: str = "") -> None:
        self._logs = clients["logs"]
        self._groups = groups
        self._pattern = pattern

    def lines(self, *, since: float) -> list[Line]:
        """All from `since` (seconds since the epoch) on."""
        found = [line for group in self._groups for line in self._of(group, since)]
        return sorted(found, key=lambda line: line.at)

    def follow(
        self, *, since: float, now: Callable[[], float] = time.time, pause: Callable[[float], None]
    ) -> Iterator[Line]:
        """For ever, each line once. `pause` waits between two looks."""
        seen: dict[str, float] = {}
        while True:
            for line in self.lines(since=since):
                if line.id not in seen:
                    yield line
                    seen[line.id] = line.at
            since = max(since, now() - OVERLAP)
            seen = {id_: at for id_, at in seen.items() if at >= since}
            pause(2.0)

    def _of(self, group: Group, since: float) -> Iterator[Line]:
        asked: dict[str, Any] = {"logGroupName": group.name, "startTime": int(since * 1000)}
        if self._pattern:
            asked["filterPattern"] = self._pattern
        for page in self._logs.get_paginator("filter_log_events").paginate(**asked):
            for told in page["events"]:
                text = told["message"].rstrip("\n")
                yield Line(at=told["timestamp"] / 1000, source=group.source, text=text, id=told["eventId"])


def is_metric(text: str) -> bool:
    """A count in CloudWatch's embedded format, which the line before it tells in words."""
    return text.startswith("{") and '"_aws"' in text


def _readable(text: str) -> str:
    told = _object(text)
    if "message" not in told:
        return text
    fields = told.get("fields")
    rest = {**(fields if isinstance(fields, dict) else {}), **_others(told)}
    said = " ".join(f"{key}={value}" for key, value in rest.items() if value is not None)
    return f"{told['message']} {said}".rstrip()


def _others(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in LIBRARY_KEYS}


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
