"""What CloudWatch would hold of asynchronous endpoints, a value a minute, and the alarms that look at it.

Metric names and meanings: SageMaker guide, "Monitor asynchronous endpoint". A metric without an instance to
be counted per counts the whole backlog (an assumption: the guide only says that scaling from zero then starts
above the target).
"""

import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.local.sagemaker.hosting import HostedEndpoint

NAMESPACE = "AWS/SageMaker"
KEPT_MINUTES = 120

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


@dataclass(slots=True)
class History:
    """The last minutes of every endpoint, by endpoint and metric; the newest last."""

    minutes: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def record(self, endpoint: HostedEndpoint, *, now: float) -> dict[str, float]:
        """Take this minute's values."""
        if endpoint.runtime is None:
            return {}
        backlog, ready = endpoint.runtime.backlog, endpoint.ready(now)
        values = {
            "ApproximateBacklogSize": float(backlog),
            "ApproximateBacklogSizePerInstance": backlog / max(ready, 1),
            "HasBacklogWithoutCapacity": float(backlog > 0 and ready == 0),
        }
        for metric, value in values.items():
            kept = self.minutes.setdefault((endpoint.name, metric), deque(maxlen=KEPT_MINUTES))
            kept.append(value)
        return values

    def last(self, metric: Mapping[str, Any], count: int) -> list[float | None]:
        """The last `count` minutes of a metric as an alarm names it; None where nothing was measured."""
        dimensions = {told["Name"]: told["Value"] for told in metric.get("Dimensions", [])}
        if metric.get("Namespace") != NAMESPACE:
            return [None] * count
        kept = list(self.minutes.get((dimensions.get("EndpointName", ""), metric["MetricName"]), ()))
        return [*([None] * max(count - len(kept), 0)), *kept[-count:]]


class Alarms:
    """CloudWatch's alarms on our metrics. `cloudwatch` is a client of whatever stands in for CloudWatch."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch
        self._firing: set[str] = set()

    def publish(self, endpoint: str, values: Mapping[str, float], *, now: float) -> None:
        """Put one minute's values where anybody can read them."""
        data = [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
                "Timestamp": datetime.fromtimestamp(now, tz=UTC),
                "Value": value,
            }
            for metric, value in values.items()
        ]
        if data:
            self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)

    def going_off(self, history: History) -> Iterator[tuple[str, float]]:
        """(policy ARN, how far beyond its threshold) of every alarm in ALARM; it acts each minute it stays
        so.
        """
        for alarm in self._cloudwatch.describe_alarms()["MetricAlarms"]:
            if alarm.get("Namespace") != NAMESPACE or not alarm.get("ActionsEnabled", True):
                continue
            breach = _breach(alarm, history)
            self._tell(alarm["AlarmName"], firing=breach is not None)
            for action in alarm.get("AlarmActions", ()) if breach is not None else ():
                yield action, breach or 0.0

    def make_tracking(self, policy: Mapping[str, Any]) -> list[dict[str, str]]:
        """The two alarms that a target-tracking policy brings; nobody else may edit them."""
        config = policy["TargetTrackingScalingPolicyConfiguration"]
        metric, stem = config["CustomizedMetricSpecification"], f"TargetTracking-{policy['ResourceId']}"
        made = []
        for side, comparison, minutes in (
            ("AlarmHigh", "GreaterThanThreshold", 3),
            ("AlarmLow", "LessThanThreshold", 15),
        ):
            name = f"{stem}-{side}-{uuid.uuid5(uuid.NAMESPACE_URL, policy['PolicyARN'] + side)}"
            self._cloudwatch.put_metric_alarm(
                AlarmName=name,
                Namespace=metric["Namespace"],
                MetricName=metric["MetricName"],
                Dimensions=metric.get("Dimensions", []),
                Statistic=metric["Statistic"],
                Period=60,
                EvaluationPeriods=minutes,
                Threshold=config["TargetValue"] * (1.0 if side == "AlarmHigh" else 0.9),
                ComparisonOperator=comparison,
                AlarmDescription="DO NOT EDIT OR DELETE. For TargetTrackingScaling policy.",
                ActionsEnabled=False,
            )
            arn = self._cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
            made.append({"AlarmName": name, "AlarmARN": arn})
        return made

    def remove(self, names: Sequence[str]) -> None:
        if names:
            self._cloudwatch.delete_alarms(AlarmNames=list(names))

    def _tell(self, name: str, *, firing: bool) -> None:
        """Only a change of state is told."""
        if firing == (name in self._firing):
            return
        self._firing ^= {name}
        state = "ALARM" if firing else "OK"
        self._cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="measured")


def _breach(alarm: Mapping[str, Any], history: History) -> float | None:
    """The newest value less the threshold where the alarm goes off. Periods are whole minutes here."""
    periods = alarm["EvaluationPeriods"] * max(alarm["Period"] // 60, 1)
    needed = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) * max(alarm["Period"] // 60, 1)
    compare, threshold = _COMPARISONS[alarm["ComparisonOperator"]], alarm["Threshold"]
    values = history.last(alarm, periods)
    breaching = [value for value in values if _breaches(value, alarm, compare)]
    if len(breaching) < needed:
        return None
    newest = next((value for value in reversed(values) if value is not None), threshold)
    return float(newest - threshold)


def _breaches(value: float | None, alarm: Mapping[str, Any], compare: Callable[[float, float], bool]) -> bool:
    if value is None:
        return bool(alarm.get("TreatMissingData") == "breaching")
    return compare(value, alarm["Threshold"])
