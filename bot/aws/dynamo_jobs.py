"""Job rows, people and counters in DynamoDB: the port Jobs on AWS.

What lies where, and what each call costs, stands in `docs/aws-table.md`.
"""

import base64
import binascii
import heapq
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from bot.aws.clients import Clients
from bot.aws.dynamo_items import (
    WAITING_PARTITION,
    Item,
    Write,
    add_hold,
    change_counter,
    counter_from,
    counter_key,
    create_job,
    due_shards,
    job_from,
    job_key,
    person_from,
    person_key,
    position,
    raise_counter,
    replace_job,
    settle_person,
    start_day,
    text_of,
    use_guard,
    version_of,
    was_created_by,
    was_written_by,
)
from bot.aws.dynamo_table import DynamoTable, Reason
from bot.aws.table import INDEXES
from bot.domain.errors import (
    AlreadyExists,
    Ambiguous,
    CeilingReached,
    Conflict,
    GuardClosed,
    JobMoved,
    PeerError,
    PersonMoved,
    Rejected,
)
from bot.domain.job import Job
from bot.domain.person import Person, Settlement
from bot.ports import CounterChange, CounterRaise, Guard, Index, Page

FIRST_PLACE, PAST_LAST_PLACE = "0", ":"
"""Every place in an index begins with a digit."""

_BELOW, _AT_MOST = "#", "$"
"""A place is `<number>#<job id>`: `<number>#` lies before all places of the number, `<number>$` behind."""

_JUST_AFTER = "!"
"""Behind a place and before the next: no id goes on where another one ends."""

_ENDS = {Index.DUE: _AT_MOST, Index.WAITING: _BELOW}
"""The indexes that `upto` bounds, and whether a row at that very number is inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One write of a transition. `refusal` is raised when its condition fails; without one it is left out."""

    write: Write
    refusal: Conflict | None = None


class DynamoJobs:
    """The port Jobs. Rows are kept `retention` seconds after their job was accepted.

    `pause` waits between attempts at a row that somebody else is writing, some 40 ms in all.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        table: str,
        retention: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = DynamoTable(clients, name=table, pause=pause)
        self._retention = retention

    def create(self, jobs: Sequence[Job], *, person: Person, guard: Guard | None = None, now: float) -> None:
        """See Jobs.create; at most 98 jobs. AlreadyExists is told before GuardClosed before PersonMoved."""
        writes = [create_job(job, retention=self._retention) for job in jobs]
        if guard is not None:
            writes.append(use_guard(guard, job_id=jobs[0].id, now=now))
        reasons = self._create_with(writes, jobs, person, expires_at=now + self._retention)
        if reasons and not _were_created(jobs, reasons):
            raise _refusal(person, guard, reasons[len(jobs) :])

    def _create_with(
        self, writes: Sequence[Write], jobs: Sequence[Job], person: Person, *, expires_at: float
    ) -> Sequence[Reason]:
        """Write the rows with the person's hold; why not, where they were not written."""
        if person.version > 1:
            hold = add_hold(person, cost=sum(job.cost for job in jobs), expires_at=expires_at)
            reasons = self._commit_creation([*writes, hold], jobs)
            if not _only_the_day_differs(person, reasons):
                return reasons
        return self._commit_creation([*writes, start_day(person, expires_at=expires_at)], jobs)

    def _commit_creation(self, writes: Sequence[Write], jobs: Sequence[Job]) -> Sequence[Reason]:
        try:
            return self._table.commit(writes, token=jobs[0].write_token)
        except Ambiguous as lost:
            if not _was_created(jobs[0], self._look_back(jobs[0].id, lost)):
                raise
            return ()

    def transition(
        self,
        after: Job,
        *,
        settlement: Settlement | None = None,
        counters: Sequence[CounterChange | CounterRaise] = (),
    ) -> None:
        """See Jobs.transition. Without settlement and counters it is one update, else a transaction.

        A settlement or a raise that would change nothing fails its condition, and the rest is sent again.
        """
        parts = [_Part(write=replace_job(after), refusal=JobMoved(after.id))]
        if settlement is not None:
            parts.append(_Part(write=settle_person(settlement)))
        parts += [_counting(change) for change in counters]
        while parts:
            parts = self._send(after, parts)

    def get(self, job_id: str) -> Job | None:
        """See Jobs.get."""
        found = self._table.get(job_key(job_id))
        return None if found is None else job_from(found)

    def person(self, tenant: str, user: str) -> Person:
        """See Jobs.person."""
        return _person(self._table.get(person_key(tenant, user)), tenant, user)

    def query(
        self,
        index: Index,
        *,
        partition: str = "",
        upto: float | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page:
        """See Jobs.query. Raises Rejected("bad_cursor") for a cursor that no query gave out."""
        partitions = _partitions(index, partition)
        low, high = _bounds(index, upto=upto, cursor=cursor)
        if low > high:
            return Page(jobs=(), cursor=None)
        newest_first = index is Index.PERSON
        ways = [
            self._table.walk(index, each, low=low, high=high, newest_first=newest_first, page=limit + 1)
            for each in partitions
        ]
        place = partial(text_of, name=INDEXES[index].position)
        found = list(islice(heapq.merge(*ways, key=place), limit + 1))
        more, page = len(found) > limit, found[:limit]
        return Page(
            jobs=tuple(job_from(item) for item in page),
            cursor=_write_cursor(place(page[-1])) if more and page else None,
        )

    def counter(self, key: str) -> int:
        """See Jobs.counter."""
        return counter_from(self._table.get(counter_key(key)))

    def _send(self, after: Job, parts: Sequence[_Part]) -> list[_Part]:
        """Write the parts together; those to send again, where some would have changed nothing."""
        try:
            reasons = self._table.commit([part.write for part in parts], token=after.write_token)
        except Ambiguous as lost:
            if not _has_landed(after, self._look_back(after.id, lost)):
                raise
            return []
        failed = [part for part, reason in zip(parts, reasons, strict=False) if reason.failed]
        if not failed or (failed[0] is parts[0] and _has_landed(after, reasons[0].item)):
            return []
        for part in failed:
            if part.refusal is not None:
                raise part.refusal
        return [part for part in parts if part not in failed]

    def _look_back(self, job_id: str, lost: Ambiguous) -> Item | None:
        """The row after a write whose reply was lost."""
        try:
            return self._table.get(job_key(job_id))
        except PeerError as error:
            raise lost from error


def _counting(change: CounterChange | CounterRaise) -> _Part:
    if isinstance(change, CounterRaise):
        return _Part(write=raise_counter(change))
    return _Part(write=change_counter(change), refusal=CeilingReached(change.key))


def _was_created(job: Job, found: Item | None) -> bool:
    """Whether the row is there and of this very write. Raises AlreadyExists when it is another's."""
    if found is None:
        return False
    if not was_created_by(found, job):
        raise AlreadyExists(job.id)
    return True


def _were_created(jobs: Sequence[Job], reasons: Sequence[Reason]) -> bool:
    """Whether this very write landed before, all rows or none. Raises AlreadyExists for another's row."""
    told = zip(jobs, reasons, strict=False)
    ours = [_was_created(job, reason.item) for job, reason in told if reason.failed]
    return any(ours)


def _has_landed(after: Job, found: Item | None) -> bool:
    """Whether the row is what this very write left; False where it may still land. Raises JobMoved."""
    if found is None:
        raise JobMoved(after.id)
    if was_written_by(found, after):
        return True
    if version_of(found) != after.version - 1:
        raise JobMoved(after.id)
    return False


def _only_the_day_differs(person: Person, reasons: Sequence[Reason]) -> bool:
    """Whether nothing stood against a creation but that the person's row is of an earlier day."""
    if not reasons or any(reason.failed for reason in reasons[:-1]) or reasons[-1].item is None:
        return False
    current = person_from(reasons[-1].item)
    return current.version == person.version - 1 and current.day != person.day


def _refusal(person: Person, guard: Guard | None, reasons: Sequence[Reason]) -> Conflict:
    """What the writes after the jobs were refused for."""
    if guard is not None and reasons[0].failed and reasons[0].item is not None:
        return GuardClosed(text_of(reasons[0].item, "job_id"))
    return PersonMoved(person.user, current=_person(reasons[-1].item, person.tenant, person.user))


def _person(found: Item | None, tenant: str, user: str) -> Person:
    return Person(tenant=tenant, user=user) if found is None else person_from(found)


def _partitions(index: Index, partition: str) -> Sequence[str]:
    """Where the index is read. Raises ValueError for a partition the index does not have."""
    if index is Index.DUE and not partition:
        return due_shards()
    if index is Index.WAITING and not partition:
        return (WAITING_PARTITION,)
    if (index is Index.OPEN and partition) or (index is Index.PERSON and "/" in partition):
        return (partition,)
    raise ValueError(f"{index} has no partition {partition!r}")


def _bounds(index: Index, *, upto: float | None, cursor: str | None) -> tuple[str, str]:
    """The first and the last place to read."""
    low, high = FIRST_PLACE, PAST_LAST_PLACE
    if upto is not None:
        if index not in _ENDS:
            raise ValueError(f"{index} takes no upto")
        high = position(upto, "").replace("#", _ENDS[index])
    if cursor is None:
        return low, high
    place = _read_cursor(cursor)
    return (low, place) if index is Index.PERSON else (place + _JUST_AFTER, high)


def _write_cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        place = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (ValueError, binascii.Error) as error:
        raise Rejected("bad_cursor") from error
    if not re.fullmatch(r"\d{20}\.\d{10}#\S+", place):
        raise Rejected("bad_cursor")
    return place
