"""How far a stage has come, counted in steps or by the clock, and the learning rate that follows from it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol


class Budget(Protocol):
    """Says how much of a training is done."""

    def share(self, step: int) -> float:
        """The share that is done before `step`: 0 at the start, 1 or more when nothing is left."""


class Steps:
    """A fixed number of steps."""

    def __init__(self, total: int) -> None:
        self._total = total

    def share(self, step: int) -> float:
        """See `Budget.share`."""
        return step / self._total if self._total else 1.0


class Minutes:
    """As many steps as fit into some minutes from now; `done` is the share that earlier runs spent."""

    def __init__(
        self, minutes: float, *, done: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._done, self._clock = minutes * 60, done, clock
        self._began = clock()

    def share(self, step: int) -> float:  # noqa: ARG002 (the clock alone decides)
        """See `Budget.share`."""
        return self._done + (1 - self._done) * (self._clock() - self._began) / self._seconds


def warm_fall(step: int, share: float, *, warm: int = 100) -> float:
    """Learning-rate factor: `warm` steps of rise, and a cosine over the whole share down to 2 %."""
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
    return min(1.0, (step + 1) / warm) * fall
