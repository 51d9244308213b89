"""Job rows, people and counters in SQLite: the port Jobs on one machine and in the tests."""

import base64
import binascii
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.errors import (
    AlreadyExists,
    CeilingReached,
    GuardClosed,
    JobMoved,
    PersonMoved,
    Rejected,
)
from bot.domain.job import Job, State, state_of
from bot.domain.person import Person, Settlement
from bot.local.database import Database
from bot.ports import CounterChange, CounterRaise, Guard, Index, Page


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """How one index is read: which rows, by which column, which way, and what `upto` bounds."""

    rows: str
    by: str
    newest_first: bool = False
    upto: str | None = None


_ORDERS = {
    Index.DUE: _Order(rows="next_check_at IS NOT NULL", by="next_check_at", upto="next_check_at <= ?"),
    Index.WAITING: _Order(rows="waiting_tag IS NOT NULL", by="waiting_tag", upto="waiting_tag < ?"),
    Index.OPEN: _Order(rows="open AND tenant = ?", by="accepted_at"),
    Index.PERSON: _Order(rows="tenant = ? AND person = ?", by="accepted_at", newest_first=True),
}


class SqliteJobs:
    """The port Jobs. Every write is one transaction; every query is as fresh as the last commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, jobs: Sequence[Job], *, person: Person, guard: Guard | None = None, now: float) -> None:
        """See Jobs.create. Of several reasons to refuse, AlreadyExists is told before GuardClosed."""
        with self._database.writing() as connection:
            if _was_created(connection, jobs):
                return
            if guard is not None:
                _use_guard(connection, guard, job_id=jobs[0].id, now=now)
            for job in jobs:
                _insert(connection, job)
            _write_person(connection, person, cost=sum(job.cost for job in jobs))

    def transition(
        self,
        after: Job,
        *,
        settlement: Settlement | None = None,
        counters: Sequence[CounterChange | CounterRaise] = (),
    ) -> None:
        """See Jobs.transition."""
        with self._database.writing() as connection:
            if _has_landed(connection, after):
                return
            _replace(connection, after)
            if settlement is not None:
                _settle(connection, settlement)
            for change in counters:
                _count(connection, change)

    def get(self, job_id: str) -> Job | None:
        """See Jobs.get."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT row FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if found is None else _job(found[0])

    def person(self, tenant: str, user: str) -> Person:
        """See Jobs.person."""
        with self._database.reading() as connection:
            return _person(connection, tenant, user)

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
        order = _ORDERS[index]
        statement, values = _statement(order, _keys(index, partition), upto=upto, cursor=cursor)
        with self._database.reading() as connection:
            found = connection.execute(f"{statement} LIMIT ?", (*values, limit + 1)).fetchall()
        more = len(found) > limit
        page = found[:limit]
        return Page(
            jobs=tuple(_job(row) for row, _, _ in page),
            cursor=_write_cursor(*page[-1][1:]) if more and page else None,
        )

    def counter(self, key: str) -> int:
        """See Jobs.counter."""
        with self._database.reading() as connection:
            return read_counter(connection, key)


def _was_created(connection: sqlite3.Connection, jobs: Sequence[Job]) -> bool:
    """True when this very write landed before, its reply was lost. Raises AlreadyExists."""
    landed = 0
    for job in jobs:
        found = connection.execute("SELECT created_token FROM jobs WHERE id = ?", (job.id,)).fetchone()
        if found is None:
            continue
        if not job.write_token or found[0] != job.write_token:
            raise AlreadyExists(job.id)
        landed += 1
    return landed == len(jobs)


def _has_landed(connection: sqlite3.Connection, after: Job) -> bool:
    """True when this very write landed before. Raises JobMoved."""
    found = connection.execute("SELECT version, write_token FROM jobs WHERE id = ?", (after.id,)).fetchone()
    if found is None:
        raise JobMoved(after.id)
    version, token = found
    if version == after.version and after.write_token and token == after.write_token:
        return True
    if version != after.version - 1:
        raise JobMoved(after.id)
    return False


def _insert(connection: sqlite3.Connection, job: Job) -> None:
    connection.execute(
        "INSERT INTO jobs (id, tenant, person, accepted_at, next_check_at, waiting_tag, open,"
        " version, write_token, created_token, row) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (job.id, job.tenant, job.person, job.accepted_at, *_indexed(job), job.write_token, _text(job)),
    )


def _replace(connection: sqlite3.Connection, job: Job) -> None:
    connection.execute(
        "UPDATE jobs SET next_check_at = ?, waiting_tag = ?, open = ?, version = ?, write_token = ?, row = ?"
        " WHERE id = ?",
        (*_indexed(job), _text(job), job.id),
    )


def _indexed(job: Job) -> tuple[float | None, int | None, bool, int, str]:
    """What the indexes and conditions of a row need besides its text."""
    state = state_of(job)
    waiting_tag = job.tag if state is State.ANNOUNCED else None
    return job.next_check_at, waiting_tag, state.is_open, job.version, job.write_token


def _write_person(connection: sqlite3.Connection, person: Person, *, cost: int) -> None:
    current = _person(connection, person.tenant, person.user)
    if current.version != person.version - 1:
        raise PersonMoved(person.user, current=current)
    _put_person(connection, current.holding(person, cost=cost))


def _settle(connection: sqlite3.Connection, settlement: Settlement) -> None:
    current = _person(connection, settlement.tenant, settlement.user)
    settled = current.settled(settlement)
    if settled != current:
        _put_person(connection, settled)


def _person(connection: sqlite3.Connection, tenant: str, user: str) -> Person:
    found = connection.execute(
        "SELECT row FROM persons WHERE tenant = ? AND user = ?", (tenant, user)
    ).fetchone()
    return Person(tenant=tenant, user=user) if found is None else Person.from_json(json.loads(found[0]))


def _put_person(connection: sqlite3.Connection, person: Person) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO persons (tenant, user, version, row) VALUES (?, ?, ?, ?)",
        (person.tenant, person.user, person.version, json.dumps(person.to_json())),
    )


def _use_guard(connection: sqlite3.Connection, guard: Guard, *, job_id: str, now: float) -> None:
    connection.execute("DELETE FROM guards WHERE until <= ?", (now,))
    found = connection.execute("SELECT job_id FROM guards WHERE key = ?", (guard.key,)).fetchone()
    if found is not None:
        raise GuardClosed(found[0])
    connection.execute("INSERT INTO guards VALUES (?, ?, ?)", (guard.key, guard.until, job_id))


def _count(connection: sqlite3.Connection, change: CounterChange | CounterRaise) -> None:
    current = read_counter(connection, change.key)
    if isinstance(change, CounterRaise):
        value = max(current, change.least)
    else:
        value = current + change.delta
        if change.ceiling is not None and value > change.ceiling:
            raise CeilingReached(change.key)
    connection.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (change.key, value))


def read_counter(connection: sqlite3.Connection, key: str) -> int:
    """A counter's value, 0 when it was never changed."""
    found = connection.execute("SELECT value FROM counters WHERE key = ?", (key,)).fetchone()
    return 0 if found is None else int(found[0])


def _keys(index: Index, partition: str) -> tuple[str, ...]:
    """The values of the index's partition. Raises ValueError for a partition the index does not have."""
    keys = tuple(partition.split("/", 1)) if index is Index.PERSON else (partition,) if partition else ()
    if len(keys) != _ORDERS[index].rows.count("?"):
        raise ValueError(f"{index} has no partition {partition!r}")
    return keys


def _statement(
    order: _Order, keys: tuple[str, ...], *, upto: float | None, cursor: str | None
) -> tuple[str, tuple[object, ...]]:
    conditions, values = [order.rows], [*keys]  # type: list[str], list[object]
    if upto is not None:
        if order.upto is None:
            raise ValueError(f"an index by {order.by} takes no upto")
        conditions.append(order.upto)
        values.append(upto)
    if cursor is not None:
        conditions.append(f"({order.by}, id) {'<' if order.newest_first else '>'} (?, ?)")
        values.extend(_read_cursor(cursor))
    direction = "DESC" if order.newest_first else "ASC"
    select = f"SELECT row, {order.by}, id FROM jobs WHERE {' AND '.join(conditions)}"  # noqa: S608 (constants)
    return f"{select} ORDER BY {order.by} {direction}, id {direction}", tuple(values)


def _write_cursor(position: float, job_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([position, job_id]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        position, job_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return float(position), str(job_id)
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise Rejected("bad_cursor") from error


def _text(job: Job) -> str:
    return json.dumps(job.to_json(), separators=(",", ":"))


def _job(text: str) -> Job:
    return Job.from_json(json.loads(text))
