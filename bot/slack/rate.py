"""Slack's rate limits as token buckets in shared cells, so that parallel workers spend from one purse.

`chat.update` allows about 50 calls a minute in a workspace (tier 3), `chat.postMessage` about one a second
in a channel with short bursts. Progress edits may use part of the first; final states are only counted,
never held back.
"""

from dataclasses import dataclass
from typing import Self

from bot.domain.errors import Busy, CellMoved, PeerError
from bot.ports import Cell, Cells

EDITS_KEY = "slack/edits"
POSTS_KEY = "slack/posts"
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`burst` tokens at most, refilled at `per_second`; spending may go down to `floor`."""

    burst: float
    per_second: float
    floor: float = 0.0


EDITS = Limit(burst=8.0, per_second=40 / 60, floor=-12.0)
"""Over any minute progress edits take 48 at most. Final states push the level below zero, down to the floor,
which makes progress edits wait for them and never the other way round."""

POSTS = Limit(burst=3.0, per_second=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Tokens in a bucket at a moment."""

    tokens: float
    at: float

    @classmethod
    def of(cls, cell: Cell | None, limit: Limit, *, now: float) -> Self:
        """The level now. A clock that went back refills nothing."""
        if cell is None:
            return cls(tokens=limit.burst, at=now)
        tokens, at = float(cell.value["tokens"]), float(cell.value["at"])
        refilled = tokens + max(0.0, now - at) * limit.per_second
        return cls(tokens=min(limit.burst, refilled), at=max(now, at))

    def wait(self, limit: Limit) -> float:
        """Seconds until one token is there."""
        return max(0.0, (1.0 - self.tokens) / limit.per_second)

    def less_one(self, limit: Limit) -> dict[str, float]:
        return {"tokens": max(limit.floor, self.tokens - 1.0), "at": self.at}


class EditBudget:
    """The workspace's `chat.update` calls."""

    def __init__(self, cells: Cells, *, limit: Limit = EDITS) -> None:
        self._cells = cells
        self._limit = limit

    def take(self, now: float) -> bool:
        """A token for a progress edit, if one is there; without one the edit is skipped."""
        try:
            return self._spend(now, least=1.0)
        except (CellMoved, PeerError):
            return False

    def charge(self, now: float) -> None:
        """Count an edit that must happen, such as a final state."""
        try:
            self._spend(now, least=float("-inf"))
        except (CellMoved, PeerError):
            return  # an uncounted final state is better than a late one

    def _spend(self, now: float, *, least: float) -> bool:
        for _ in range(_TRIES):
            cell = self._cells.read(EDITS_KEY)
            level = Level.of(cell, self._limit, now=now)
            if level.tokens < least:
                return False
            try:
                _write(self._cells, EDITS_KEY, cell, level, self._limit)
            except CellMoved:
                continue
            return True
        raise CellMoved(EDITS_KEY)


class PostPace:
    """The `chat.postMessage` calls of one channel at a time."""

    def __init__(self, cells: Cells, *, limit: Limit = POSTS) -> None:
        self._cells = cells
        self._limit = limit

    def take(self, channel: str, now: float) -> None:
        """A token for one post. Raises Busy with the seconds until there is one; nothing sleeps here."""
        key = f"{POSTS_KEY}/{channel}"
        for _ in range(_TRIES):
            cell = self._cells.read(key)
            level = Level.of(cell, self._limit, now=now)
            if level.tokens < 1.0:
                raise Busy("paced", retry_after=level.wait(self._limit))
            try:
                _write(self._cells, key, cell, level, self._limit)
            except CellMoved:
                continue
            return
        raise Busy("paced", retry_after=1.0 / self._limit.per_second)


def _write(cells: Cells, key: str, cell: Cell | None, level: Level, limit: Limit) -> None:
    cells.write(key, level.less_one(limit), expected=cell.version if cell else 0)
