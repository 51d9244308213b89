"""A look at the endpoint, written to the shared cell `endpoint` for every worker to read.

The sweep takes it once a minute, for it alone may describe endpoints: at most three AWS calls, one row write
when something changed. Statuses and metrics: botocore `sagemaker` 2017-07-24 DescribeEndpoint, and the
SageMaker guide's "Monitor asynchronous endpoint" (AWS/SageMaker by EndpointName).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.domain.errors import CellMoved, PeerError, Rejected
from bot.ports import Cells, Journal, Warmth
from bot.services.settings import ENDPOINT

FRESH_FOR = 300.0
"""Seconds after which an unchanged snapshot is written again: its age tells whether the sweep runs."""

METRICS = {"backlog": "ApproximateBacklogSize", "stranded": "HasBacklogWithoutCapacity"}
METRIC_WINDOW = 300.0

MISSING = frozenset({"ValidationException", "ValidationError"})
"""DescribeEndpoint has no error of its own for an endpoint that does not exist."""

_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"})
"""The statuses in which requests are taken. "Updating" is also how plain scaling shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLook:
    """What AWS told. `stranded`: requests wait and there is no instance to take them."""

    status: str
    instances: int = 0
    desired: int = 0
    backlog: int = 0
    stranded: bool = False


def warmth_of(look: EndpointLook) -> Warmth:
    """What a waiting person should be told."""
    if look.status == "Creating":
        return Warmth.WAKING
    if look.status not in _SERVING:
        return Warmth.DOWN
    if look.instances > 0:
        return Warmth.AWAKE
    wanted = look.desired > 0 or look.backlog > 0 or look.stranded
    return Warmth.WAKING if wanted else Warmth.ASLEEP


class EndpointSnapshot:
    """Looks at one endpoint. `max_instances` None asks Application Auto Scaling; `model` is told to people.

    The role needs sagemaker:DescribeEndpoint, cloudwatch:GetMetricData and, without `max_instances`,
    application-autoscaling:DescribeScalableTargets.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        name: str,
        journal: Journal,
        variant: str = "AllTraffic",
        max_instances: int | None = None,
        model: str | None = None,
    ) -> None:
        self._clients = clients
        self._name = name
        self._journal = journal
        self._variant = variant
        self._max_instances = max_instances
        self._model = model

    def refresh(self, cells: Cells, *, now: float) -> None:
        """Look, and write what changed. While AWS does not answer, the snapshot that is there stays.

        Raises PeerError when the cell itself cannot be read or written.
        """
        try:
            told = self.take(now=now)
        except PeerError as error:
            self._journal.event("endpoint_look_failed", code=error.code)
            return
        cell = cells.read(ENDPOINT)
        if cell is not None and not _is_news(told, cell.value):
            return
        try:
            cells.write(ENDPOINT, told, expected=cell.version if cell else 0)
        except CellMoved:
            self._journal.event("endpoint_look_overtaken")

    def take(self, *, now: float) -> dict[str, Any]:
        """The snapshot, JSON-ready. Raises Busy, Unavailable, Ambiguous.

        An endpoint that is missing, or that we may not look at, is DOWN with AWS's error code as `reason`.
        """
        try:
            described = self._described()
        except Rejected as no:
            self._journal.event("endpoint_look_refused", code=no.code)
            code = "not_found" if no.code in MISSING else no.code
            return self._told(EndpointLook(status="Unknown"), highest=None, now=now, reason=code)
        metrics = self._metrics(now)
        variant = _variant(described, self._variant)
        look = EndpointLook(
            status=str(described["EndpointStatus"]),
            instances=variant.get("CurrentInstanceCount", 0),
            desired=variant.get("DesiredInstanceCount", 0),
            backlog=round(metrics.get("backlog", 0.0)),
            stranded=metrics.get("stranded", 0.0) > 0,
        )
        reason = look.status if warmth_of(look) is Warmth.DOWN else None
        told = self._told(look, highest=self._highest(), now=now, reason=reason)
        return {**told, "config": described.get("EndpointConfigName")}

    def _told(
        self, look: EndpointLook, *, highest: int | None, now: float, reason: str | None
    ) -> dict[str, Any]:
        return {
            "name": self._name,
            "warmth": warmth_of(look).value,
            "instances": look.instances,
            "desired": look.desired,
            "max_instances": max(highest or self._max_instances or 0, look.instances, look.desired, 1),
            "backlog": look.backlog,
            "model": self._model,
            "reason": reason,
            "at": now,
        }

    def _described(self) -> Mapping[str, Any]:
        with peer_errors():
            described: Mapping[str, Any] = self._clients["sagemaker"].describe_endpoint(
                EndpointName=self._name
            )
        return described

    def _highest(self) -> int | None:
        """The most instances that scaling may start; None where no target is registered or we may not ask."""
        if self._max_instances is not None:
            return self._max_instances
        try:
            with peer_errors():
                reply = self._clients["application-autoscaling"].describe_scalable_targets(
                    ServiceNamespace="sagemaker",
                    ResourceIds=[f"endpoint/{self._name}/variant/{self._variant}"],
                    ScalableDimension="sagemaker:variant:DesiredInstanceCount",
                )
        except Rejected as no:
            self._journal.event("endpoint_scaling_unread", code=no.code)
            return None
        return max((int(target["MaxCapacity"]) for target in reply["ScalableTargets"]), default=None)

    def _metrics(self, now: float) -> dict[str, float]:
        """The newest value of each backlog metric of the last minutes, where one was published."""
        try:
            with peer_errors():
                reply = self._clients["cloudwatch"].get_metric_data(
                    MetricDataQueries=[self._query(key, metric) for key, metric in METRICS.items()],
                    StartTime=datetime.fromtimestamp(now - METRIC_WINDOW, tz=UTC),
                    EndTime=datetime.fromtimestamp(now, tz=UTC),
                    ScanBy="TimestampDescending",
                )
        except Rejected as no:
            self._journal.event("endpoint_metrics_unread", code=no.code)
            return {}
        return {
            result["Id"]: result["Values"][0] for result in reply["MetricDataResults"] if result["Values"]
        }

    def _query(self, key: str, metric: str) -> dict[str, Any]:
        named = {
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": [{"Name": "EndpointName", "Value": self._name}],
        }
        return {"Id": key, "MetricStat": {"Metric": named, "Period": 60, "Stat": "Maximum"}}


def _variant(described: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The variant of that name, the only one under another name, or nothing (an endpoint being created)."""
    variants: list[Mapping[str, Any]] = described.get("ProductionVariants", [])
    named = [variant for variant in variants if variant["VariantName"] == name]
    return (named or variants or [{}])[0]


def _is_news(told: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Everything but the time counts; the time alone counts after `FRESH_FOR`, or when it runs backwards."""
    changed = {**told, "at": None} != {**before, "at": None}
    written = before.get("at")
    return changed or not isinstance(written, int | float) or not 0 <= told["at"] - written < FRESH_FOR
