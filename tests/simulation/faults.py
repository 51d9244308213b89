"""Faults at call sites: which call fails, and how."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from bot.domain.errors import Ambiguous, Busy, Unauthorized, Unavailable

T = TypeVar("T")


class Crash(BaseException):
    """The process vanishes here: nothing after this line runs."""


class Fault(StrEnum):
    REFUSED = "refused"  # fails before the effect
    BUSY = "busy"  # throttled, with a wish for later
    LOST_REPLY = "lost_reply"  # the effect happens, the caller hears nothing
    LATE = "late"  # the caller gives up, the effect happens later
    STALL = "stall"  # the call takes long, and the rest of the world goes on meanwhile
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    UNAUTHORIZED = "unauthorized"  # the chat does not take our token


EFFECT = tuple(fault for fault in Fault if fault is not Fault.UNAUTHORIZED)
STORE = (Fault.REFUSED, Fault.LOST_REPLY, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
READ = (Fault.REFUSED, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
IDEMPOTENT = (
    Fault.REFUSED,
    Fault.BUSY,
    Fault.LOST_REPLY,
    Fault.STALL,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
)


@dataclass(kw_only=True)
class Plan:
    """Either named faults at numbered calls (enumeration) or a rate for all of them (random schedules)."""

    named: dict[int, Fault] = field(default_factory=dict)
    rate: float = 0.0
    seed: int = 0
    enabled: tuple[Fault, ...] = EFFECT
    calls: int = 0
    sites: list[tuple[str, tuple[Fault, ...]]] = field(default_factory=list)
    fired: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    quiet: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def next_fault(self, site: str, kinds: tuple[Fault, ...]) -> Fault | None:
        number, self.calls = self.calls, self.calls + 1
        self.sites.append((site, kinds))
        fault = self.named.get(number) or self._drawn(kinds)
        if self.quiet or fault not in kinds:
            return None
        self.fired[site, fault] += 1
        return fault

    def _drawn(self, kinds: tuple[Fault, ...]) -> Fault | None:
        if self.rate == 0 or self.random.random() >= self.rate:
            return None
        possible = [kind for kind in kinds if kind in self.enabled]
        return self.random.choice(possible) if possible else None


def around(
    plan: Plan,
    site: str,
    kinds: tuple[Fault, ...],
    effect: Callable[[], T],
    *,
    later: Callable[[Callable[[], T]], None],
    stall: Callable[[], None],
) -> T:
    """Run `effect` with the fault the plan has for this call."""
    fault = plan.next_fault(site, kinds)
    if fault is Fault.STALL:
        stall()
    if fault is Fault.CRASH_BEFORE:
        raise Crash
    if fault is Fault.REFUSED:
        raise Unavailable("simulated")
    if fault is Fault.UNAUTHORIZED:
        raise Unauthorized("simulated")
    if fault is Fault.BUSY:
        raise Busy("simulated", retry_after=7.0)
    if fault is Fault.LATE:
        later(effect)
        raise Ambiguous("simulated")
    value = effect()
    if fault is Fault.LOST_REPLY:
        raise Ambiguous("simulated")
    if fault is Fault.CRASH_AFTER:
        raise Crash
    return value
