"""The endpoint as it is now, in at most six calls, and what it has cost today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.aws.clients import ServiceClients
from bot.aws.endpoint_control import Scheduled, office_hours_of
from bot.domain.instance_prices import LookedUp, Price, price_of
from infra.endpoint.resources import described
from infra.endpoint.wanted import DIMENSION

MINUTES_BACK = 10
HOST_METRICS = "/aws/sagemaker/Endpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What AWS told. `oldest` is how long the oldest request waits, in seconds; `minutes_today` of all
    instances since midnight UTC, None where nothing was measured.
    """

    name: str
    status: str
    reason: str
    config: str
    instances: int
    desired: int
    types: tuple[str, ...]
    bounds: tuple[int, int] | None
    backlog: int | None
    oldest: float | None
    minutes_today: float | None
    scheduled: tuple[Scheduled, ...]
    last_scaling: str
    price: Price

    @property
    def spent_today(self) -> str:
        """In words, with what it rests on."""
        if self.minutes_today is None:
            return "nothing measured today"
        return self.price.of(self.minutes_today / 60)

    @property
    def office_hours(self) -> str:
        hours = office_hours_of(self.scheduled)
        return str(hours) if hours else ""


def read_status(
    name: str,
    clients: ServiceClients,
    *,
    region: str,
    variant: str,
    now: float,
    known: LookedUp | None = None,
) -> Status | None:
    """None where there is no such endpoint. `known`: prices that somebody has looked up."""
    endpoint = described(clients["sagemaker"].describe_endpoint, EndpointName=name)
    if endpoint is None:
        return None
    config = endpoint["EndpointConfigName"]
    variants = clients["sagemaker"].describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    named = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
    scaling, resource = clients["application-autoscaling"], f"endpoint/{name}/variant/{variant}"
    targets = scaling.describe_scalable_targets(**named, ResourceIds=[resource])["ScalableTargets"]
    actions = scaling.describe_scheduled_actions(**named, ResourceId=resource)["ScheduledActions"]
    activities = scaling.describe_scaling_activities(**named, ResourceId=resource, MaxResults=1)
    measured = _measured(clients["cloudwatch"], name, variant, now)
    counts = (endpoint.get("ProductionVariants") or [{}])[0]
    types = _types(variants[0], counts)
    return Status(
        name=name,
        status=endpoint["EndpointStatus"],
        reason=endpoint.get("FailureReason", ""),
        config=config,
        instances=counts.get("CurrentInstanceCount", 0),
        desired=counts.get("DesiredInstanceCount", 0),
        types=types,
        bounds=(targets[0]["MinCapacity"], targets[0]["MaxCapacity"]) if targets else None,
        backlog=None if measured["backlog"] is None else round(measured["backlog"]),
        oldest=measured["oldest"],
        minutes_today=measured["minutes"],
        scheduled=tuple(_scheduled(action) for action in actions),
        last_scaling=next((told["StatusMessage"] for told in activities["ScalingActivities"]), ""),
        price=price_of(types[0], region=region, known=known),
    )


def _types(variant: Mapping[str, Any], counts: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that run, else those that may, the first choice first."""
    running = [
        pool["InstanceType"] for pool in counts.get("InstancePools", []) if pool.get("CurrentInstanceCount")
    ]
    pools = sorted(variant.get("InstancePools", []), key=lambda pool: int(pool["Priority"]))
    return tuple(running or [pool["InstanceType"] for pool in pools] or [variant["InstanceType"]])


def _scheduled(action: Mapping[str, Any]) -> Scheduled:
    return Scheduled(
        name=action["ScheduledActionName"],
        schedule=action["Schedule"],
        zone=action.get("Timezone", "UTC"),
        minimum=action.get("ScalableTargetAction", {}).get("MinCapacity"),
    )


def _measured(cloudwatch: Any, name: str, variant: str, now: float) -> dict[str, float | None]:
    """Backlog and age as measured last; an instance sends one sample of its CPU a minute, so samples are
    minutes.
    """
    moment = datetime.fromtimestamp(now, tz=UTC)
    endpoint = [{"Name": "EndpointName", "Value": name}]
    queue = {"Namespace": "AWS/SageMaker", "Dimensions": endpoint}
    host = {
        "Namespace": HOST_METRICS,
        "Dimensions": [*endpoint, {"Name": "VariantName", "Value": variant}],
    }
    queries = [
        _query("backlog", {**queue, "MetricName": "ApproximateBacklogSize"}, 60, "Average"),
        _query("oldest", {**queue, "MetricName": "ApproximateAgeOfOldestRequest"}, 60, "Maximum"),
        _query("minutes", {**host, "MetricName": "CPUUtilization"}, 3600, "SampleCount"),
    ]
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    reply = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=midnight, EndTime=moment, ScanBy="TimestampDescending"
    )
    fresh = moment - timedelta(minutes=MINUTES_BACK)
    found: dict[str, float | None] = {"backlog": None, "oldest": None, "minutes": None}
    for result in reply["MetricDataResults"]:
        values = list(zip(result["Timestamps"], result["Values"], strict=True))
        if result["Id"] == "minutes":
            found["minutes"] = sum(value for _, value in values) if values else None
        else:
            found[result["Id"]] = next((value for at, value in values if at >= fresh), None)
    return found


def _query(key: str, metric: Mapping[str, Any], period: int, statistic: str) -> dict[str, Any]:
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}}
