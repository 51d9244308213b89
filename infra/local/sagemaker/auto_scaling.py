"""Application Auto Scaling for endpoint variants: targets, both kinds of policy, scheduled actions,
activities.

Registering a target moves capacity into its bounds at once. A step policy acts when an alarm that names it
goes off; a target-tracking policy keeps two alarms of its own. What the alarms measure comes from
`metrics.py`, once a minute. Sources: Application Auto Scaling user guide and API reference; the async
inference guide on scaling to zero.
"""

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.hosting import Hosting
from infra.local.sagemaker.schedules import Schedule, read_schedule

Members = Mapping[str, Any]
Key = tuple[str, str]
"""Resource id and scalable dimension."""

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
OUT_AFTER, IN_AFTER, IN_BELOW = 3, 15, 0.9
"""Minutes until target tracking acts, and the share of the target below which it scales in (user guide)."""
DEFAULT_COOLDOWN = 300


@dataclass(slots=True, kw_only=True)
class Target:
    """A scalable target. `acted_at` holds when capacity last went out or in by a policy."""

    told: dict[str, Any]
    acted_at: dict[str, float] = field(default_factory=dict)

    @property
    def low(self) -> int:
        return int(self.told["MinCapacity"])

    @property
    def high(self) -> int:
        return int(self.told["MaxCapacity"])

    def suspended(self, what: str) -> bool:
        return bool(self.told.get("SuspendedState", {}).get(what, False))


class AutoScaling:
    """Scales the endpoints of `hosting`. `alarms` makes and removes the alarms of target tracking."""

    def __init__(
        self,
        hosting: Hosting,
        *,
        clock: Callable[[], float],
        alarms: Any = None,
        prefix: str = "arn:aws:autoscaling:us-east-1:123456789012",
    ) -> None:
        self._hosting = hosting
        self._clock = clock
        self._alarms = alarms
        self._prefix = prefix
        self._targets: dict[Key, Target] = {}
        self._policies: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._actions: dict[tuple[str, str, str], tuple[dict[str, Any], Schedule]] = {}
        self._activities: list[dict[str, Any]] = []

    # targets

    def register_scalable_target(self, sent: Members) -> Members:
        """New or changed. Refuses an endpoint that is not there, and bounds that cross."""
        key, now = _key(sent), self._clock()
        self._variant(sent["ResourceId"])
        before = self._targets.get(key)
        told: dict[str, Any] = (
            dict(before.told) if before else {"CreationTime": now, "RoleARN": _role(self._prefix)}
        )
        told.update({name: value for name, value in sent.items() if name != "Tags"})
        if not {"MinCapacity", "MaxCapacity"} <= told.keys():
            raise _invalid("MinCapacity and MaxCapacity are required for a new scalable target")
        if told["MinCapacity"] > told["MaxCapacity"]:
            raise _invalid("Maximum capacity cannot be less than minimum capacity")
        told["ScalableTargetARN"] = arn = f"{self._prefix}:scalable-target/{'/'.join(key)}"
        self._targets[key] = Target(told=told, acted_at=before.acted_at if before else {})
        self._keep_in_bounds(key, "the scalable target's bounds were set")
        return {"ScalableTargetARN": arn}

    def deregister_scalable_target(self, sent: Members) -> Members:
        """Its policies and scheduled actions go with it."""
        key = _key(sent)
        self._target(key, sent)
        for policy in [name for name in self._policies if name[:2] == key]:
            self._drop_policy(policy)
        for action in [name for name in self._actions if name[:2] == key]:
            del self._actions[action]
        del self._targets[key]
        return {}

    def describe_scalable_targets(self, sent: Members) -> Members:
        wanted = sent.get("ResourceIds")
        shown = [
            target.told
            for key, target in self._targets.items()
            if (not wanted or key[0] in wanted) and sent.get("ScalableDimension") in (None, key[1])
        ]
        return {"ScalableTargets": shown}

    # policies

    def put_scaling_policy(self, sent: Members) -> Members:
        key = _key(sent)
        self._target(key, sent)
        name = (*key, sent["PolicyName"])
        before = self._policies.get(name, {})
        kind = sent.get("PolicyType", before.get("PolicyType", "StepScaling"))
        config = "TargetTrackingScalingPolicyConfiguration" if kind == "TargetTrackingScaling" else ""
        config = config or "StepScalingPolicyConfiguration"
        if config not in sent:
            raise _invalid(f"{config} is required for a policy of type {kind}")
        arn = before.get("PolicyARN") or f"{self._prefix}:scalingPolicy:{uuid.uuid4()}:policyName/{name[2]}"
        policy = {
            **{name_: value for name_, value in sent.items() if value is not None},
            "PolicyType": kind,
            "PolicyARN": arn,
            "CreationTime": before.get("CreationTime", self._clock()),
        }
        policy["Alarms"] = self._tracking_alarms(policy) if kind == "TargetTrackingScaling" else []
        self._policies[name] = policy
        return {"PolicyARN": arn, "Alarms": policy["Alarms"]}

    def describe_scaling_policies(self, sent: Members) -> Members:
        names = sent.get("PolicyNames")
        shown = [
            policy
            for name, policy in self._policies.items()
            if sent.get("ResourceId") in (None, name[0]) and (not names or name[2] in names)
        ]
        return {"ScalingPolicies": shown}

    def delete_scaling_policy(self, sent: Members) -> Members:
        name = (*_key(sent), sent["PolicyName"])
        if name not in self._policies:
            raise _not_found(f"No scaling policy found for {_named(sent)}, policy name: {sent['PolicyName']}")
        self._drop_policy(name)
        return {}

    # scheduled actions

    def put_scheduled_action(self, sent: Members) -> Members:
        key, now = _key(sent), self._clock()
        self._target(key, sent)
        name = (*key, sent["ScheduledActionName"])
        before = self._actions[name][0] if name in self._actions else {"CreationTime": now}
        told = {**before, **sent}
        try:
            schedule = read_schedule(told.get("Schedule", ""), zone=told.get("Timezone", "UTC"))
        except ValueError as error:
            raise _invalid(f"Invalid schedule: {error}") from error
        if schedule.at is not None and schedule.at <= now:
            raise _invalid("Scheduled time is in the past")
        told["ScheduledActionARN"] = f"{self._prefix}:scheduledAction:{'/'.join(name)}"
        self._actions[name] = (told, schedule)
        return {}

    def describe_scheduled_actions(self, sent: Members) -> Members:
        names = sent.get("ScheduledActionNames")
        shown = [
            told
            for name, (told, _) in self._actions.items()
            if sent.get("ResourceId") in (None, name[0]) and (not names or name[2] in names)
        ]
        return {"ScheduledActions": shown}

    def delete_scheduled_action(self, sent: Members) -> Members:
        name = (*_key(sent), sent["ScheduledActionName"])
        if self._actions.pop(name, None) is None:
            raise _not_found(f"No scheduled action found for {_named(sent)}, {sent['ScheduledActionName']}")
        return {}

    def describe_scaling_activities(self, sent: Members) -> Members:
        shown = [
            activity
            for activity in reversed(self._activities)
            if sent.get("ResourceId") in (None, activity["ResourceId"])
        ]
        return {"ScalingActivities": shown[: sent.get("MaxResults", 50)]}

    # acting

    def act_on_schedule(self, after: float, until: float) -> None:
        """Do what the scheduled actions of (after, until] say."""
        for name, (told, schedule) in list(self._actions.items()):
            for _ in schedule.between(after, until, start=told["CreationTime"]):
                self._change_bounds(name, told)
            if schedule.at is not None and schedule.at <= until:
                self._actions.pop(name, None)

    def act_on_alarm(self, arn: str, *, breach: float) -> None:
        """An alarm names the step policy `arn`; `breach` is the metric's value less the threshold."""
        for name, policy in self._policies.items():
            if policy["PolicyARN"] == arn and policy["PolicyType"] == "StepScaling":
                self._step(name[:2], policy["StepScalingPolicyConfiguration"], breach)

    def track(self, measured: Callable[[Members, int], list[float | None]]) -> None:
        """Let every target-tracking policy act; `measured` gives a metric's last minutes, the newest last."""
        for name, policy in self._policies.items():
            if policy["PolicyType"] == "TargetTrackingScaling":
                self._track(name[:2], policy["TargetTrackingScalingPolicyConfiguration"], measured)

    def _step(self, key: Key, config: Members, breach: float) -> None:
        target, current = self._targets[key], self._desired(key)
        for step in config.get("StepAdjustments", []):
            low = step.get("MetricIntervalLowerBound", -math.inf)
            high = step.get("MetricIntervalUpperBound", math.inf)
            if low <= breach < high or (breach == high == 0.0):
                wanted = _adjusted(current, step["ScalingAdjustment"], config.get("AdjustmentType"))
                self._scale(key, target, wanted, config.get("Cooldown", DEFAULT_COOLDOWN), "a step policy")
                return

    def _track(
        self, key: Key, config: Members, measured: Callable[[Members, int], list[float | None]]
    ) -> None:
        metric, goal = config["CustomizedMetricSpecification"], float(config["TargetValue"])
        current, target = self._desired(key), self._targets[key]
        recent = measured(metric, IN_AFTER)
        high = [value for value in recent[-OUT_AFTER:] if value is not None and value > goal]
        low = [value for value in recent if value is not None and value < goal * IN_BELOW]
        if len(high) == OUT_AFTER:
            wanted = math.ceil(max(current, 1) * high[-1] / goal) if current else 1
            self._scale(
                key, target, wanted, config.get("ScaleOutCooldown", DEFAULT_COOLDOWN), "target tracking"
            )
        elif len(low) == IN_AFTER and current and not config.get("DisableScaleIn"):
            wanted = min(math.ceil(current * low[-1] / goal), current)
            self._scale(
                key, target, wanted, config.get("ScaleInCooldown", DEFAULT_COOLDOWN), "target tracking"
            )

    def _scale(self, key: Key, target: Target, wanted: int, cooldown: float, cause: str) -> None:
        current, now = self._desired(key), self._clock()
        wanted = min(max(wanted, target.low), target.high)
        side = "DynamicScalingOutSuspended" if wanted > current else "DynamicScalingInSuspended"
        if wanted == current or target.suspended(side):
            return
        if now - self._acted(target, side) < cooldown:
            return
        if self._set(key, wanted, cause):
            target.acted_at[side] = now

    def _acted(self, target: Target, side: str) -> float:
        """Scaling in waits for either way; scaling out for its own only (user guide, "Cooldown period")."""
        if side == "DynamicScalingInSuspended":
            return max(target.acted_at.values(), default=-math.inf)
        return target.acted_at.get(side, -math.inf)

    def _change_bounds(self, name: tuple[str, str, str], told: Members) -> None:
        target, action = self._targets[name[:2]], told.get("ScalableTargetAction", {})
        if target.suspended("ScheduledScalingSuspended"):
            return
        target.told.update({side: value for side, value in action.items() if value is not None})
        self._keep_in_bounds(name[:2], f"scheduled action {name[2]}")

    def _keep_in_bounds(self, key: Key, cause: str) -> None:
        target, current = self._targets[key], self._desired(key)
        wanted = min(max(current, target.low), target.high)
        if wanted != current:
            self._set(key, wanted, cause)

    def _set(self, key: Key, wanted: int, cause: str) -> bool:
        """False where the endpoint cannot be changed just now; the next minute tries again."""
        _, endpoint, _, variant = key[0].split("/")
        now, code, message = (
            self._clock(),
            "Successful",
            f"Successfully set desired instance count to {wanted}.",
        )
        try:
            self._hosting.scale(endpoint, variant, wanted)
        except Refusal as refusal:
            code, message = (
                "Failed",
                f"Failed to set desired instance count to {wanted}. Reason: {refusal.message}",
            )
        self._activities.append(
            {
                "ActivityId": str(uuid.uuid4()),
                "ServiceNamespace": "sagemaker",
                "ResourceId": key[0],
                "ScalableDimension": key[1],
                "Description": f"Setting desired instance count to {wanted}.",
                "Cause": cause,
                "StartTime": now,
                "EndTime": now,
                "StatusCode": code,
                "StatusMessage": message,
            }
        )
        return code == "Successful"

    def sweep_bounds(self) -> None:
        """Bring every target back into its bounds, where the endpoint could not be changed before."""
        for key in list(self._targets):
            if key[0].split("/")[1] in self._hosting.endpoints:
                self._keep_in_bounds(key, "the scalable target's bounds")

    def forget(self, endpoint: str) -> None:
        """The endpoint is gone; what was registered for it goes too (as SageMaker does, an assumption)."""
        for key in [key for key in self._targets if key[0].split("/")[1] == endpoint]:
            self.deregister_scalable_target(
                {"ServiceNamespace": "sagemaker", "ResourceId": key[0], "ScalableDimension": key[1]}
            )

    def _tracking_alarms(self, policy: Members) -> list[dict[str, str]]:
        if self._alarms is None:
            return []
        made: list[dict[str, str]] = self._alarms.make_tracking(policy)
        return made

    def _drop_policy(self, name: tuple[str, str, str]) -> None:
        policy = self._policies.pop(name)
        if self._alarms is not None:
            self._alarms.remove([alarm["AlarmName"] for alarm in policy["Alarms"]])

    def _desired(self, key: Key) -> int:
        return int(self._variant(key[0]).desired)

    def _variant(self, resource: str) -> Any:
        parts = resource.split("/")
        if len(parts) != 4 or (parts[0], parts[2]) != ("endpoint", "variant"):
            raise _invalid(f"Unsupported resource id: {resource}")
        try:
            endpoint = self._hosting.endpoint(parts[1])
        except Refusal as refusal:
            raise _invalid(f"ECS/SageMaker resource doesn't exist: {refusal.message}") from refusal
        for fleet in endpoint.fleets:
            if fleet.name == parts[3]:
                return fleet
        raise _invalid(f"Variant {parts[3]} does not exist")

    def _target(self, key: Key, sent: Members) -> Target:
        if key not in self._targets:
            raise _not_found(f"No scalable target found for {_named(sent)}")
        return self._targets[key]


def _adjusted(current: int, adjustment: int, kind: str | None) -> int:
    if kind == "ExactCapacity":
        return adjustment
    if kind == "PercentChangeInCapacity":
        return current + math.floor(current * adjustment / 100)
    return current + adjustment


def _key(sent: Members) -> Key:
    if sent.get("ServiceNamespace") != "sagemaker" or sent.get("ScalableDimension") != DIMENSION:
        raise _invalid(f"only sagemaker and {DIMENSION} are known here")
    return sent["ResourceId"], sent["ScalableDimension"]


def _named(sent: Members) -> str:
    return (
        f"service namespace: {sent['ServiceNamespace']}, resource ID: {sent['ResourceId']}, "
        f"scalable dimension: {sent['ScalableDimension']}"
    )


def _role(prefix: str) -> str:
    account = prefix.split(":")[4]
    return (
        f"arn:aws:iam::{account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )


def _invalid(sentence: str) -> Refusal:
    return Refusal("ValidationException", sentence)


def _not_found(sentence: str) -> Refusal:
    return Refusal("ObjectNotFoundException", sentence)
