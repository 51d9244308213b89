"""Slack's rate limits as token buckets.

`chat.update` allows about 50 calls a minute in a workspace (tier 3), `chat.postMessage` about one a second
in a channel with short bursts. Progress edits may use part of the first, from one purse that parallel
workers share; final states are only counted, never held back. A post into a quiet channel asks nobody; in a
busy one the posts of all workers take turns, a second apart.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Self

from bot.domain.errors import Busy, CellMoved, PeerError
from bot.ports import Cell, Cells

EDITS_KEY = "slack/edits"
POSTS_KEY = "slack/posts"
MOST_DEBT = 16
"""Final states that a process may leave uncounted until it counts them in one write."""

REMEMBERED = 256
ANY = float("-inf")
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

POSTS = Limit(burst=1.0, per_second=0.9, floor=-900.0)
"""The posts of all workers into one channel. A level below zero is a queue in which everybody has a turn.
Slack takes a little more, which leaves room for what is posted without asking, and after a refusal."""

UNASKED = Limit(burst=2.0, per_second=0.2)
"""What a process posts into a channel without a word to the others, as long as it knows of no queue there."""


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


class SharedBucket:
    """A bucket in a cell that all workers share. Not safe for threads.

    The cell is only ever written, never read: a write that lost its race brings it along.
    """

    def __init__(self, cells: Cells, *, key: str, limit: Limit) -> None:
        self._cells = cells
        self._key = key
        self._limit = limit
        self._seen: Level | None = None
        self._version = 0
        self._debt = 0

    @property
    def debt(self) -> int:
        """Tokens owed: spent here and not written yet."""
        return self._debt

    def level(self, now: float) -> Level:
        """As far as this process knows."""
        seen = self._seen or Level(tokens=self._limit.burst, at=now)
        return seen.later(self._limit, now=now)

    def owe(self, now: float) -> None:
        """Spend a token; it is written with the next that is."""
        self._debt += 1
        self._seen = self.level(now).less(self._limit)

    def spend(self, now: float, *, count: int, least: float) -> bool:
        """Write that tokens are gone, where at least so many are there. Raises CellMoved, PeerError."""
        for _ in range(_TRIES):
            level = self.level(now)
            if level.tokens < least:
                return False
            after = level.less(self._limit, count=count)
            value = {"tokens": after.tokens, "at": after.at}
            try:
                self._version = self._cells.write(self._key, value, expected=self._version)
            except CellMoved as moved:
                self._learn(moved.current, now)
                continue
            self._seen, self._debt = after, 0
            return True
        raise CellMoved(self._key)

    def _learn(self, cell: Cell | None, now: float) -> None:
        """Take over what others wrote, less what this process has not written yet."""
        self._version = cell.version if cell else 0
        self._seen = Level.of(cell, self._limit, now=now).less(self._limit, count=self._debt)


class EditBudget:
    """The workspace's `chat.update` calls, those of all workers together."""

    def __init__(self, cells: Cells, *, limit: Limit = EDITS) -> None:
        self._bucket = SharedBucket(cells, key=EDITS_KEY, limit=limit)
        self._turn = threading.Lock()

    def take(self, now: float) -> bool:
        """A token for a progress edit, if one is there; without one the edit is skipped."""
        with self._turn:
            try:
                return self._bucket.spend(now, count=1, least=1.0)
            except (CellMoved, PeerError):
                return False

    def charge(self, now: float) -> None:
        """Count an edit that must happen, such as a final state; it is written with the next token taken."""
        with self._turn:
            self._bucket.owe(now)
            if self._bucket.debt < MOST_DEBT:
                return
            try:
                self._bucket.spend(now, count=0, least=ANY)
            except (CellMoved, PeerError):
                return  # an uncounted final state is better than a late one


class PostPace:
    """The `chat.postMessage` calls of all workers, a channel at a time."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._turn = threading.Lock()
        self._lines: OrderedDict[str, _Line] = OrderedDict()

    def take(self, channel: str, now: float) -> None:
        """Leave to post now. Raises Busy with the seconds until the post's turn; nothing sleeps here.

        The turn is kept: who comes again when it is there does not ask once more.
        """
        with self._turn:
            wait = self._line(channel, now).wait(now)
        if wait > 0.0:
            raise Busy("paced", retry_after=wait)

    def turn(self, channel: str, now: float) -> float:
        """Seconds until the turn of a post that Slack refused; without one it would wait for a gap."""
        with self._turn:
            return self._line(channel, now).turn(now)

    def _line(self, channel: str, now: float) -> "_Line":
        if channel not in self._lines:
            bucket = SharedBucket(self._cells, key=f"{POSTS_KEY}/{channel}", limit=POSTS)
            self._lines[channel] = _Line(bucket, now=now)
        self._lines.move_to_end(channel)
        while len(self._lines) > REMEMBERED:
            self._lines.popitem(last=False)
        return self._lines[channel]


class _Line:
    """Who posts into one channel, as this process knows it."""

    def __init__(self, bucket: SharedBucket, *, now: float) -> None:
        self._bucket = bucket
        self._unasked = Level(tokens=UNASKED.burst, at=now)

    def wait(self, now: float) -> float:
        """Seconds until one more may be posted."""
        self._unasked = self._unasked.later(UNASKED, now=now)
        if self._unasked.tokens >= 1.0 and self._bucket.level(now).tokens >= POSTS.burst:
            self._unasked = self._unasked.less(UNASKED)
            return 0.0
        return self.turn(now)

    def turn(self, now: float) -> float:
        """Seconds until the turn of one more post in the queue of all workers."""
        try:
            self._bucket.spend(now, count=1, least=ANY)
        except (CellMoved, PeerError):
            return 0.0  # an unpaced post is better than a late one: Slack has a pace of its own
        return max(0.0, -self._bucket.level(now).tokens / POSTS.per_second)
