"""The machines behind one production variant: asked for, started, ready, given back.

Time is given in from outside, in seconds. Rules: an instance is of the first pool (by priority) that has a
machine free, at creation and at every scale-out; scale-in takes the lowest-priority pool's first (SageMaker
guide, "Instance pools"). A variant without pools has one type.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.local.sagemaker.capacity import Capacity

PROVISION_SECONDS = 3600.0
"""How long a machine is looked for where the variant says nothing. An assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """An instance. It serves from `ready_at` on."""

    kind: str
    ready_at: float


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The machines of one variant. `config` is its ProductionVariant; `desired` how many there shall be."""

    config: Mapping[str, Any]
    capacity: Capacity
    launch_seconds: float
    desired: int
    machines: list[Machine] = field(default_factory=list)
    short_since: float | None = None

    @property
    def name(self) -> str:
        return str(self.config["VariantName"])

    @property
    def kinds(self) -> Sequence[str]:
        """Instance types in the order in which they are tried."""
        pools = self.config.get("InstancePools")
        if not pools:
            return [self.config["InstanceType"]]
        return [pool["InstanceType"] for pool in sorted(pools, key=lambda pool: pool["Priority"])]

    def ready(self, now: float) -> int:
        """How many instances serve."""
        return sum(machine.ready_at <= now for machine in self.machines)

    def settled(self, now: float) -> bool:
        """Whether there are as many as wanted, all of them ready."""
        return len(self.machines) == self.desired and self.ready(now) == self.desired

    def adjust(self, now: float) -> None:
        """Start or give back machines towards `desired`, as far as there are any."""
        while len(self.machines) > self.desired:
            last = max(self.machines, key=lambda machine: (self.kinds.index(machine.kind), machine.ready_at))
            self.machines.remove(last)
            self.capacity.give_back(last.kind)
        while len(self.machines) < self.desired:
            kind = self.capacity.take(self.kinds)
            if kind is None:
                self.short_since = now if self.short_since is None else self.short_since
                return
            self.machines.append(Machine(kind=kind, ready_at=now + self.launch_seconds))
        self.short_since = None

    def given_up(self, now: float) -> bool:
        """Whether a machine was looked for in vain for as long as the variant allows."""
        patience = self.config.get("VariantInstanceProvisionTimeoutInSeconds", PROVISION_SECONDS)
        return self.short_since is not None and now - self.short_since >= patience

    def settle_for_less(self) -> None:
        """Want no more than there is."""
        self.desired, self.short_since = len(self.machines), None

    def close(self) -> None:
        """Give every machine back."""
        for machine in self.machines:
            self.capacity.give_back(machine.kind)
        self.machines.clear()

    def told(self, now: float) -> dict[str, Any]:
        """Its ProductionVariantSummary."""
        summary: dict[str, Any] = {
            "VariantName": self.name,
            "CurrentWeight": self.config.get("InitialVariantWeight", 1.0),
            "DesiredWeight": self.config.get("InitialVariantWeight", 1.0),
            "CurrentInstanceCount": self.ready(now),
            "DesiredInstanceCount": self.desired,
        }
        if self.config.get("InstancePools"):
            counts = Counter(machine.kind for machine in self.machines if machine.ready_at <= now)
            summary["InstancePools"] = [
                {"InstanceType": kind, "CurrentInstanceCount": counts[kind]} for kind in self.kinds
            ]
        return summary
