"""Slack's rate tiers, per method and app, as token buckets."""

import math
from dataclasses import dataclass
from enum import Enum

from infra.local.slack.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """``burst`` calls at once, refilled at ``per_minute``; one bucket per channel where ``by_channel``."""

    burst: int
    per_minute: int
    by_channel: bool = False


class Tier(Enum):
    ONE = Rate(burst=1, per_minute=1)
    TWO = Rate(burst=20, per_minute=20)
    THREE = Rate(burst=50, per_minute=50)
    FOUR = Rate(burst=100, per_minute=100)
    POSTING = Rate(burst=5, per_minute=60, by_channel=True)
    SPECIAL = Rate(burst=600, per_minute=600)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimits:
    """Counts calls. ``enforced`` can be switched at any time; while it is off nothing is counted."""

    def __init__(self, *, clock: Clock, enforced: bool) -> None:
        self.enforced = enforced
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def seconds_to_wait(self, method: str, tier: Tier, channel: str) -> int:
        """0 when the call may happen (and is counted), else the ``Retry-After`` value."""
        if not self.enforced:
            return 0
        rate, now = tier.value, self._clock.now()
        key = (method, channel if rate.by_channel else "")
        bucket = self._buckets.setdefault(key, _Bucket(tokens=rate.burst, filled_at=now))
        refill = (now - bucket.filled_at) * rate.per_minute / 60
        bucket.tokens, bucket.filled_at = min(rate.burst, bucket.tokens + refill), now
        if bucket.tokens < 1:
            return max(1, math.ceil((1 - bucket.tokens) * 60 / rate.per_minute))
        bucket.tokens -= 1
        return 0
