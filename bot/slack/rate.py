"""Slack's rate limits as token buckets.

`chat.update` allows about 50 calls a minute in a workspace (tier 3), `chat.postMessage` about one a second
in a channel with short bursts. Progress edits may use part of the first, from one purse that parallel
workers share; final states are only counted, never held back. Posts are paced by each process for itself:
where several post into one channel at once, Slack asks for the same pause that the pace would.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Self

from bot.domain.errors import Busy, CellMoved, PeerError
from bot.ports import Cell, Cells

EDITS_KEY = "slack/edits"
MOST_DEBT = 16
"""Final states that a process may leave uncounted until it counts them in one write."""

REMEMBERED = 256
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
        """The level of a shared bucket now; an unknown one is full."""
        if cell is None:
            return cls(tokens=limit.burst, at=now)
        return cls(tokens=float(cell.value["tokens"]), at=float(cell.value["at"])).later(limit, now=now)

    def later(self, limit: Limit, *, now: float) -> Self:
        """The level after a refill. A clock that went back refills nothing."""
        refilled = self.tokens + max(0.0, now - self.at) * limit.per_second
        return type(self)(tokens=min(limit.burst, refilled), at=max(now, self.at))

    def less(self, limit: Limit, *, count: int = 1) -> Self:
        """The level after spending."""
        return type(self)(tokens=max(limit.floor, self.tokens - count), at=self.at)

    def wait(self, limit: Limit) -> float:
        """Seconds until one token is there."""
        return max(0.0, (1.0 - self.tokens) / limit.per_second)


class EditBudget:
    """The workspace's `chat.update` calls, in a cell that all workers share.

    The cell is only ever written, never read: a write that lost its race brings it along.
    """

    def __init__(self, cells: Cells, *, limit: Limit = EDITS) -> None:
        self._cells = cells
        self._limit = limit
        self._turn = threading.Lock()
        self._seen: Level | None = None
        self._version = 0
        self._debt = 0

    def take(self, now: float) -> bool:
        """A token for a progress edit, if one is there; without one the edit is skipped."""
        with self._turn:
            try:
                return self._spend(now, count=1, least=1.0)
            except (CellMoved, PeerError):
                return False

    def charge(self, now: float) -> None:
        """Count an edit that must happen, such as a final state; it is written with the next token taken."""
        with self._turn:
            self._debt += 1
            self._seen = self._level(now).less(self._limit)
            if self._debt < MOST_DEBT:
                return
            try:
                self._spend(now, count=0, least=float("-inf"))
            except (CellMoved, PeerError):
                return  # an uncounted final state is better than a late one

    def _level(self, now: float) -> Level:
        seen = self._seen or Level(tokens=self._limit.burst, at=now)
        return seen.later(self._limit, now=now)

    def _spend(self, now: float, *, count: int, least: float) -> bool:
        for _ in range(_TRIES):
            level = self._level(now)
            if level.tokens < least:
                return False
            after = level.less(self._limit, count=count)
            value = {"tokens": after.tokens, "at": after.at}
            try:
                self._version = self._cells.write(EDITS_KEY, value, expected=self._version)
            except CellMoved as moved:
                self._learn(moved.current, now)
                continue
            self._seen, self._debt = after, 0
            return True
        raise CellMoved(EDITS_KEY)

    def _learn(self, cell: Cell | None, now: float) -> None:
        """Take over what others wrote, less what this process has not written yet."""
        self._version = cell.version if cell else 0
        self._seen = Level.of(cell, self._limit, now=now).less(self._limit, count=self._debt)


class PostPace:
    """The `chat.postMessage` calls of one channel at a time, as far as this process makes them."""

    def __init__(self, *, limit: Limit = POSTS) -> None:
        self._limit = limit
        self._turn = threading.Lock()
        self._levels: OrderedDict[str, Level] = OrderedDict()

    def take(self, channel: str, now: float) -> None:
        """A token for one post. Raises Busy with the seconds until there is one; nothing sleeps here."""
        with self._turn:
            known = self._levels.get(channel, Level(tokens=self._limit.burst, at=now))
            level = known.later(self._limit, now=now)
            if level.tokens < 1.0:
                raise Busy("paced", retry_after=level.wait(self._limit))
            self._levels[channel] = level.less(self._limit)
            self._levels.move_to_end(channel)
            while len(self._levels) > REMEMBERED:
                self._levels.popitem(last=False)
