"""The switches: what a caller meets, and what has happened behind its back."""

from collections.abc import Callable, Iterator

import pytest

from bot.domain.errors import Ambiguous, JobMoved, PersonMoved, Unavailable
from bot.local.database import MEMORY, Database
from bot.local.faults import Fault, FaultyJobs, LaggingIndex
from bot.local.sqlite_jobs import SqliteJobs
from bot.ports import CounterChange, Index, Jobs
from tests.contracts.rows import NOW, TENANT, USER, a_job, a_person, after


@pytest.fixture
def store() -> Iterator[Jobs]:
    database = Database(MEMORY)
    yield SqliteJobs(database)
    database.close()


@pytest.fixture
def jobs(store: Jobs) -> FaultyJobs:
    return FaultyJobs(store)


def test_an_unavailable_store_has_written_nothing(jobs: FaultyJobs):
    jobs.fail_next("create", Fault.UNAVAILABLE)
    with pytest.raises(Unavailable):
        jobs.create([a_job()], person=a_person(), now=NOW)
    assert jobs.get(a_job().id) is None
    jobs.create([a_job()], person=a_person(), now=NOW)
    assert jobs.get(a_job().id) == a_job()


def test_a_lost_reply_has_written_everything_and_the_same_write_again_succeeds(jobs: FaultyJobs):
    jobs.fail_next("create", Fault.LOST_REPLY)
    jobs.fail_next("transition", Fault.LOST_REPLY)
    with pytest.raises(Ambiguous):
        jobs.create([a_job()], person=a_person(), now=NOW)
    jobs.create([a_job()], person=a_person(), now=NOW)
    change = CounterChange(key="month", delta=1)
    with pytest.raises(Ambiguous):
        jobs.transition(after(a_job()), counters=[change])
    jobs.transition(after(a_job()), counters=[change])
    assert jobs.get(a_job().id) == after(a_job())
    assert jobs.counter("month") == 1


def test_conflicts_are_those_a_real_race_would_raise(jobs: FaultyJobs):
    jobs.fail_next("create", Fault.CONFLICT)
    with pytest.raises(PersonMoved):
        jobs.create([a_job()], person=a_person(), now=NOW)
    jobs.create([a_job()], person=a_person(), now=NOW)
    jobs.fail_next("transition", Fault.CONFLICT, Fault.CONFLICT)
    for _ in range(2):
        with pytest.raises(JobMoved):
            jobs.transition(after(a_job()))
    jobs.transition(after(a_job()))


@pytest.mark.parametrize("call", ["get", "person", "query", "counter"])
def test_every_read_can_fail_once(jobs: FaultyJobs, call: str):
    reads: dict[str, Callable[[], object]] = {
        "get": lambda: jobs.get("a"),
        "person": lambda: jobs.person(TENANT, USER).version,
        "query": lambda: jobs.query(Index.DUE, limit=1).jobs,
        "counter": lambda: jobs.counter("month"),
    }
    jobs.fail_next(call, Fault.UNAVAILABLE)
    with pytest.raises(Unavailable):
        reads[call]()
    assert not reads[call]()


def test_a_lagging_index_misses_the_last_writes_until_it_catches_up(store: Jobs):
    index = Database(MEMORY)
    jobs = LaggingIndex(store, index=SqliteJobs(index), lag=2)
    jobs.create([a_job()], person=a_person(), now=NOW)
    announced = after(a_job(), "second", announced_ref="1")
    jobs.transition(announced)
    assert jobs.query(Index.DUE, limit=5).jobs == ()
    assert jobs.get(a_job().id) == announced
    admitted = after(announced, "third", admitted_at=NOW)
    jobs.transition(admitted, counters=[CounterChange(key="flight", delta=1, ceiling=1)])
    assert jobs.query(Index.DUE, limit=5).jobs == (a_job(),)
    assert jobs.query(Index.WAITING, limit=5).jobs == ()
    assert jobs.counter("flight") == 1
    jobs.catch_up()
    assert jobs.query(Index.DUE, limit=5).jobs == (admitted,)
    index.close()


def test_a_refused_write_never_reaches_the_index(store: Jobs):
    index = Database(MEMORY)
    jobs = LaggingIndex(store, index=SqliteJobs(index), lag=0)
    with pytest.raises(JobMoved):
        jobs.transition(after(a_job()))
    jobs.create([a_job()], person=a_person(), now=NOW)
    assert jobs.query(Index.DUE, limit=5).jobs == (a_job(),)
    index.close()
