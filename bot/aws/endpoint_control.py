"""Steering a SageMaker endpoint's capacity: look, wake, keep warm for a while or by the clock, hand back,
sleep.

Used by the command line and by the bot's admin function, which alone hold scaling rights. Raising the
scalable target's minimum moves capacity at once; a warm time always ends by itself, for the scheduled
action that lowers the minimum is made and read back before anything is raised. (Application Auto Scaling
API reference, RegisterScalableTarget and PutScheduledAction.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.aws.clients import ServiceClients
from bot.aws.peer_errors import peer_errors
from bot.domain.errors import BotError
from bot.domain.times import MINUTE
from bot.domain.warm_times import OfficeHours, hours_of_crons

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
WARM_AGAIN, WARM_END = "imagine-warm-again", "imagine-warm-end"
OFFICE_OPENS, OFFICE_CLOSES = "imagine-office-opens", "imagine-office-closes"


class NotScalable(BotError):
    """The endpoint has no scalable target: it was never set up, or something removed it."""


class EndNotKept(BotError):
    """The action that ends a warm time could not be read back, so nothing was raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Between how many instances scaling moves."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A scheduled action as it stands: its name, when it acts, and the minimum it sets."""

    name: str
    schedule: str
    zone: str
    minimum: int | None


class EndpointControl:
    """Steers one variant of the endpoint `name`. Every method raises PeerError for what AWS does not do.

    The role needs application-autoscaling:DescribeScalableTargets, RegisterScalableTarget,
    PutScheduledAction, DescribeScheduledActions and DeleteScheduledAction, and for `sleep`
    sagemaker:UpdateEndpointWeightsAndCapacities.
    """

    def __init__(self, clients: ServiceClients, *, name: str, variant: str = "AllTraffic") -> None:
        self._clients = clients
        self._name = name
        self._variant = variant

    def bounds(self) -> Bounds:
        """Raises NotScalable."""
        with peer_errors():
            reply = self._scaling.describe_scalable_targets(
                ServiceNamespace="sagemaker", ResourceIds=[self._resource], ScalableDimension=DIMENSION
            )
        for target in reply["ScalableTargets"]:
            return Bounds(low=target["MinCapacity"], high=target["MaxCapacity"])
        raise NotScalable(f"{self._name} has no scaling; run imagine endpoint apply")

    def wake(self) -> bool:
        """One instance at least, from now on; False where that was so already. The sweep hands it back."""
        bounds = self.bounds()
        if bounds.low >= 1:
            return False
        self._set_minimum(1)
        return True

    def hand_back(self, *, now: float) -> bool:
        """Let the policies decide again, unless a warm time or office hours hold the minimum at `now`."""
        if self.bounds().low == 0 or self._held(now):
            return False
        self._set_minimum(0)
        return True

    def _held(self, now: float) -> bool:
        actions = self.scheduled()
        hours = office_hours_of(actions)
        warm = any(action.name == WARM_END for action in actions)
        return warm or (hours is not None and hours.is_open(now))

    def warm(self, until: float, *, now: float) -> float:
        """At least one instance until `until`, and where office hours are open then, until they close.

        Returns when it ends; all in seconds since 1970. A later call moves the end. Raises EndNotKept when
        the end could not be read back; then nothing was raised.
        """
        self.bounds()
        there = self.scheduled()
        hours = office_hours_of(there)
        end = hours.closes_after(until) if hours is not None and hours.is_open(until) else until
        if any(action.name == WARM_AGAIN for action in there):
            self._unschedule(WARM_AGAIN)
        self._schedule(WARM_END, _at(end), zone="UTC", minimum=0)
        self._read_back(WARM_END, _at(end))
        if hours is not None:
            self._raise_behind(hours.closes_after(now), end)
        self._set_minimum(1)
        return end

    def _raise_behind(self, closing: float, end: float) -> None:
        """Hours that close before the warm time ends lower the minimum; it is raised again, but never behind
        the end, which would leave it raised.
        """
        if closing + MINUTE < end:
            self._schedule(WARM_AGAIN, _at(closing + MINUTE), zone="UTC", minimum=1)

    def keep_office_hours(self, hours: OfficeHours) -> None:
        """At least one instance in these hours, for ever. Raises EndNotKept; then nothing was raised."""
        self.bounds()
        self._schedule(OFFICE_CLOSES, hours.closing_cron, zone=hours.zone, minimum=0)
        self._read_back(OFFICE_CLOSES, hours.closing_cron)
        self._schedule(OFFICE_OPENS, hours.opening_cron, zone=hours.zone, minimum=1)

    def end_office_hours(self) -> bool:
        """Forget the hours; the opening first and the closing last, so that a crash between leaves only what
        lowers. What they have raised is lowered, unless a warm time holds it, which lowers it itself.
        """
        there = {action.name for action in self.scheduled()}
        if OFFICE_OPENS in there:
            self._unschedule(OFFICE_OPENS)
        if OFFICE_CLOSES in there:
            if WARM_END not in there:
                self._set_minimum(0)
            self._unschedule(OFFICE_CLOSES)
        return bool(there & {OFFICE_OPENS, OFFICE_CLOSES})

    def scheduled(self) -> tuple[Scheduled, ...]:
        """What will change the minimum by itself."""
        with peer_errors():
            reply = self._scaling.describe_scheduled_actions(
                ServiceNamespace="sagemaker", ResourceId=self._resource, ScalableDimension=DIMENSION
            )
        return tuple(_scheduled(action) for action in reply["ScheduledActions"])

    def sleep(self) -> None:
        """No instance, now, and no warm time any more; office hours stay. The next job wakes it again.

        A drawing under way is lost: the caller asks first. The end of the warm time is removed last.
        """
        self._set_minimum(0)
        with peer_errors():
            self._clients["sagemaker"].update_endpoint_weights_and_capacities(
                EndpointName=self._name,
                DesiredWeightsAndCapacities=[{"VariantName": self._variant, "DesiredInstanceCount": 0}],
            )
        there = {action.name for action in self.scheduled()}
        for name in (WARM_AGAIN, WARM_END):
            if name in there:
                self._unschedule(name)

    def _set_minimum(self, low: int) -> None:
        with peer_errors():
            self._scaling.register_scalable_target(**self._named, MinCapacity=low)

    def _schedule(self, name: str, schedule: str, *, zone: str, minimum: int) -> None:
        with peer_errors():
            self._scaling.put_scheduled_action(
                **self._named,
                ScheduledActionName=name,
                Schedule=schedule,
                Timezone=zone,
                ScalableTargetAction={"MinCapacity": minimum},
            )

    def _read_back(self, name: str, schedule: str) -> None:
        kept = [(action.name, action.schedule, action.minimum) for action in self.scheduled()]
        if (name, schedule, 0) not in kept:
            raise EndNotKept(f"{name} is not there after it was made; nothing was raised, try again")

    def _unschedule(self, name: str) -> None:
        with peer_errors():
            self._scaling.delete_scheduled_action(**self._named, ScheduledActionName=name)

    @property
    def _scaling(self) -> Any:
        return self._clients["application-autoscaling"]

    @property
    def _resource(self) -> str:
        return f"endpoint/{self._name}/variant/{self._variant}"

    @property
    def _named(self) -> Mapping[str, str]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": self._resource,
            "ScalableDimension": DIMENSION,
        }


def office_hours_of(actions: Iterable[Scheduled]) -> OfficeHours | None:
    """The hours in which the endpoint is kept warm, if there are any."""
    named = {action.name: action for action in actions}
    opens, closes = named.get(OFFICE_OPENS), named.get(OFFICE_CLOSES)
    if opens is None or closes is None:
        return None
    return hours_of_crons(opens.schedule, closes.schedule, zone=opens.zone)


def _at(moment: float) -> str:
    """A one-time schedule, in UTC."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("at(%Y-%m-%dT%H:%M:%S)")


def _scheduled(action: Mapping[str, Any]) -> Scheduled:
    return Scheduled(
        name=action["ScheduledActionName"],
        schedule=action["Schedule"],
        zone=action.get("Timezone", "UTC"),
        minimum=action.get("ScalableTargetAction", {}).get("MinCapacity"),
    )
