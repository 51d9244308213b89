"""Time, names and chance: the machine's own, and ones a test steers."""

import itertools
import random
import secrets
import threading
import time

from bot.domain.request import SEED_SPACE


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> float:
        """See Clock.now."""
        return time.time()


class SecretIds:
    """Tokens of 128 random bits."""

    def token(self) -> str:
        """See Ids.token."""
        return secrets.token_hex(16)


class SystemRandomness:
    """Seeds nobody can foresee."""

    def seed(self) -> int:
        """See Randomness.seed."""
        return secrets.randbelow(SEED_SPACE)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """See Clock.now."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move on by `seconds`; returns the new time."""
        self._now += seconds
        return self._now

    def move_to(self, moment: float) -> None:
        """Move on to `moment`; an earlier one changes nothing."""
        self._now = max(self._now, moment)


class SequentialIds:
    """Tokens that count upwards, so that a run can be repeated."""

    def __init__(self, prefix: str = "t") -> None:
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._turn = threading.Lock()

    def token(self) -> str:
        """See Ids.token."""
        with self._turn:
            return f"{self._prefix}{next(self._numbers):024d}"


class SeededRandomness:
    """The same seeds in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 (pictures, not secrets)

    def seed(self) -> int:
        """See Randomness.seed."""
        return self._random.randrange(SEED_SPACE)
