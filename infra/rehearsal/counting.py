"""What the emulator leaves out: CloudWatch reads the logs, and metrics come from lines in the embedded metric
format. Source: CloudWatch user guide, "Specification: Embedded metric format".
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Datum = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """Reads what was logged after `since` (Unix milliseconds) in the groups that begin with `prefix`."""

    logs: Any
    cloudwatch: Any
    prefix: str
    since: int
    _read: set[tuple[str, int, str]] = field(default_factory=set)
    """Stream, time and text: the emulator gives no ids to events."""

    def go_on(self) -> None:
        """Put the metrics of every line that is new."""
        for group in self.logs.describe_log_groups(logGroupNamePrefix=self.prefix)["logGroups"]:
            told = self.logs.filter_log_events(logGroupName=group["logGroupName"], startTime=self.since)
            for event in told["events"]:
                known = (event["logStreamName"], event["timestamp"], event["message"])
                if known not in self._read:
                    self._read.add(known)
                    self._put(event["message"])

    def _put(self, line: str) -> None:
        for namespace, datum in data_of(line):
            self.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])


def data_of(line: str) -> Iterator[tuple[str, Datum]]:
    """Namespace and datum of every metric in a line of a log; nothing in a line of another kind."""
    told = _members(line)
    meta = told.get("_aws", {})
    for directive in meta.get("CloudWatchMetrics", ()):
        for names, metric in itertools.product(directive["Dimensions"], directive["Metrics"]):
            values = told[metric["Name"]]
            yield (
                directive["Namespace"],
                {
                    "MetricName": metric["Name"],
                    "Unit": metric.get("Unit", "None"),
                    "Dimensions": [{"Name": name, "Value": told[name]} for name in names],
                    "Timestamp": datetime.fromtimestamp(meta["Timestamp"] / 1000, tz=UTC),
                    "Values": values if isinstance(values, list) else [values],
                },
            )


def _members(line: str) -> Mapping[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
