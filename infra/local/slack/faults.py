"""Switches that make the workspace misbehave the way Slack and networks do.

A planned fault waits for its method and is used up call by call. ``method`` is a Web API method, ``upload``
(the bytes
of a file), ``response_url``, or ``*`` for whichever comes next.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from infra.local.slack import limits


class FaultKind(StrEnum):
    RATE_LIMITED = "rate_limited"  # 429, with Retry-After: seconds when seconds is not None
    SERVER_ERROR = "server_error"  # 500 with a page, no effect
    REFUSED = "refused"  # ok: false with the error, no effect
    DROP_BEFORE = "drop_before"  # the connection breaks, nothing happened
    DROP_AFTER = "drop_after"  # it happened, then the connection breaks
    LATE = "late"  # the connection breaks, it happens after seconds
    SLOW = "slow"  # it happens, the answer takes seconds
    CUT_SHORT = "cut_short"  # it happens, the answer ends in its middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    kind: FaultKind
    seconds: float | None = None
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class Faults:
    """All switches. Fresh, the workspace behaves well, with Slack's ``alt_txt`` trap armed."""

    readiness_seconds: float = 0.0
    """How long an uploaded file stays without type and shares after it was completed."""
    alt_txt_drops_share: bool = True
    """An upload with ``alt_txt`` is accepted and never shared (python-slack-sdk#1818)."""
    dropped_shares: int = 0
    """How many of the next completed uploads are accepted and never shared."""
    duplicated_deliveries: int = 0
    """How many of the next events are delivered twice."""
    ack_seconds: float = limits.ACK_SECONDS
    """How long the bot may take to acknowledge."""
    bot_seconds: float = 0.0
    """How much longer than really the bot seems to take to acknowledge."""
    _planned: dict[str, deque[Fault]] = field(default_factory=dict)

    def plan(
        self,
        method: str,
        kind: FaultKind,
        *,
        seconds: float | None = None,
        error: str | None = None,
        times: int = 1,
    ) -> None:
        fault = Fault(kind=kind, seconds=seconds, error=error)
        self._planned.setdefault(method, deque()).extend([fault] * times)

    def rate_limit(self, method: str, *, retry_after: float | None = 1, times: int = 1) -> None:
        self.plan(method, FaultKind.RATE_LIMITED, seconds=retry_after, times=times)

    def server_error(self, method: str, *, times: int = 1) -> None:
        self.plan(method, FaultKind.SERVER_ERROR, times=times)

    def refuse(self, method: str, error: str, *, times: int = 1) -> None:
        self.plan(method, FaultKind.REFUSED, error=error, times=times)

    def drop_before(self, method: str, *, times: int = 1) -> None:
        self.plan(method, FaultKind.DROP_BEFORE, times=times)

    def drop_after(self, method: str, *, times: int = 1) -> None:
        self.plan(method, FaultKind.DROP_AFTER, times=times)

    def late(self, method: str, *, seconds: float, times: int = 1) -> None:
        self.plan(method, FaultKind.LATE, seconds=seconds, times=times)

    def slow(self, method: str, *, seconds: float, times: int = 1) -> None:
        self.plan(method, FaultKind.SLOW, seconds=seconds, times=times)

    def cut_short(self, method: str, *, times: int = 1) -> None:
        self.plan(method, FaultKind.CUT_SHORT, times=times)

    def take(self, method: str) -> Fault | None:
        """Use up the next fault planned for this method."""
        for name in (method, "*"):
            if planned := self._planned.get(name):
                return planned.popleft()
        return None

    def take_dropped_share(self) -> bool:
        taken = self.dropped_shares > 0
        self.dropped_shares -= taken
        return taken

    def take_duplicate(self) -> bool:
        taken = self.duplicated_deliveries > 0
        self.duplicated_deliveries -= taken
        return taken

    def clear(self) -> None:
        """Back to a workspace that behaves well."""
        fresh = Faults()
        for name in ("readiness_seconds", "alt_txt_drops_share", "dropped_shares"):
            setattr(self, name, getattr(fresh, name))
        self.duplicated_deliveries, self.bot_seconds = 0, 0.0
        self._planned.clear()
