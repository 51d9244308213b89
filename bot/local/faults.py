"""Switches that make a store behave as a distant one does on a bad day, for tests and the simulator."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import TypeVar

from bot.domain.errors import Ambiguous, BotError, JobMoved, PersonMoved, Unavailable
from bot.domain.job import Job
from bot.domain.person import Person, Settlement
from bot.ports import CounterChange, CounterRaise, Guard, Index, Jobs, Page

T = TypeVar("T")


class Fault(StrEnum):
    """What happens to one call: somebody else's write came first, nothing happens, all but the reply does."""

    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    LOST_REPLY = "lost_reply"


class FaultyJobs:
    """The port Jobs in front of `jobs`; calls go through until `fail_next` says otherwise."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._coming: defaultdict[str, deque[Fault]] = defaultdict(deque)

    def fail_next(self, call: str, *faults: Fault) -> None:
        """The next calls of the method named `call` meet these faults, one each."""
        self._coming[call].extend(faults)

    def create(self, jobs: Sequence[Job], *, person: Person, guard: Guard | None = None, now: float) -> None:
        """See Jobs.create; a conflict is PersonMoved."""
        effect = partial(self._jobs.create, jobs, person=person, guard=guard, now=now)
        self._call("create", effect, conflict=PersonMoved(person.user))

    def transition(
        self,
        after: Job,
        *,
        settlement: Settlement | None = None,
        counters: Sequence[CounterChange | CounterRaise] = (),
    ) -> None:
        """See Jobs.transition; a conflict is JobMoved."""
        effect = partial(self._jobs.transition, after, settlement=settlement, counters=counters)
        self._call("transition", effect, conflict=JobMoved(after.id))

    def get(self, job_id: str) -> Job | None:
        """See Jobs.get."""
        return self._call("get", partial(self._jobs.get, job_id))

    def person(self, tenant: str, user: str) -> Person:
        """See Jobs.person."""
        return self._call("person", partial(self._jobs.person, tenant, user))

    def query(
        self,
        index: Index,
        *,
        partition: str = "",
        upto: float | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page:
        """See Jobs.query."""
        effect = partial(self._jobs.query, index, partition=partition, upto=upto, limit=limit, cursor=cursor)
        return self._call("query", effect)

    def counter(self, key: str) -> int:
        """See Jobs.counter."""
        return self._call("counter", partial(self._jobs.counter, key))

    def _call(self, name: str, effect: Callable[[], T], *, conflict: BotError | None = None) -> T:
        coming = self._coming[name]
        fault = coming.popleft() if coming else None
        if fault is Fault.UNAVAILABLE:
            raise Unavailable("simulated")
        if fault is Fault.CONFLICT and conflict is not None:
            raise conflict
        result = effect()
        if fault is Fault.LOST_REPLY:
            raise Ambiguous("simulated")
        return result


class LaggingIndex:
    """The port Jobs in front of `jobs`, whose queries answer as an eventually consistent index does.

    `index` is a second, empty store. It repeats every write `lag` writes late and answers the queries; all
    other calls are as fresh as those of `jobs`.
    """

    def __init__(self, jobs: Jobs, *, index: Jobs, lag: int) -> None:
        self._jobs = jobs
        self._index = index
        self._lag = lag
        self._late: deque[Callable[[], None]] = deque()
        self._turn = threading.RLock()

    def catch_up(self) -> None:
        """Bring the index up to date once."""
        self._repeat(keep=0)

    def create(self, jobs: Sequence[Job], *, person: Person, guard: Guard | None = None, now: float) -> None:
        """See Jobs.create."""
        with self._turn:
            self._jobs.create(jobs, person=person, guard=guard, now=now)
            self._late.append(partial(self._index.create, jobs, person=person, now=now))
            self._repeat(keep=self._lag)

    def transition(
        self,
        after: Job,
        *,
        settlement: Settlement | None = None,
        counters: Sequence[CounterChange | CounterRaise] = (),
    ) -> None:
        """See Jobs.transition."""
        with self._turn:
            self._jobs.transition(after, settlement=settlement, counters=counters)
            self._late.append(partial(self._index.transition, after, settlement=settlement))
            self._repeat(keep=self._lag)

    def get(self, job_id: str) -> Job | None:
        """See Jobs.get."""
        return self._jobs.get(job_id)

    def person(self, tenant: str, user: str) -> Person:
        """See Jobs.person."""
        return self._jobs.person(tenant, user)

    def query(
        self,
        index: Index,
        *,
        partition: str = "",
        upto: float | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page:
        """See Jobs.query; misses the last `lag` writes."""
        return self._index.query(index, partition=partition, upto=upto, limit=limit, cursor=cursor)

    def counter(self, key: str) -> int:
        """See Jobs.counter."""
        return self._jobs.counter(key)

    def _repeat(self, *, keep: int) -> None:
        with self._turn:
            while len(self._late) > keep:
                self._late.popleft()()
