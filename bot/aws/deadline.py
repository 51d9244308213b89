"""How long a Lambda invocation may still work."""

from dataclasses import dataclass
from typing import Protocol

from bot.ports import Clock


class LambdaContext(Protocol):
    """What the handlers use of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the process."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """`at` is the moment, in seconds since the epoch, after which nothing new is begun."""

    at: float
    clock: Clock

    @classmethod
    def of(cls, context: LambdaContext, *, clock: Clock, margin: float) -> "Deadline":
        """`margin` seconds before the function's time-out: what one piece of work may still take."""
        return cls(at=clock.now() + context.get_remaining_time_in_millis() / 1000 - margin, clock=clock)

    @property
    def has_passed(self) -> bool:
        return self.clock.now() >= self.at
