"""The same calls on SQLite and on DynamoDB, one after the other: whatever one answers, the other must.

SQLite does every write in one transaction and reads what it wrote, so it says what the ports mean.
"""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.aws.dynamo_cells import DynamoCells
from bot.aws.dynamo_items import A_DAY
from bot.aws.dynamo_jobs import DynamoJobs
from bot.domain.errors import BotError
from bot.domain.job import Job
from bot.domain.person import Settlement
from bot.local.database import MEMORY, Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import SequentialIds
from bot.ports import Cells, CounterChange, CounterRaise, Guard, Index, Jobs, Page
from tests.aws.cloud import Cloud
from tests.contracts.rows import NOW, a_job, a_person, a_result

IDS = [f"{number:026d}" for number in range(20)]
TENANTS, USERS, DAYS = ["T01", "T02"], ["U01", "U02"], ["2027-01-15", "2027-01-16"]
COUNTERS, CELLS = ["month", "flight", "virtual"], ["lease", "settings"]

some_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=2, unique=True)
moments = st.sampled_from([NOW, NOW + 0.5, NOW + 1])
mostly_right = st.sampled_from([0] * 9 + [-1, 1, 2])
"""How far a caller's idea of a version is off."""

names = st.sampled_from([None] * 4 + [""])
"""The write's token: None for a fresh one."""

facts = st.fixed_dictionaries(
    {},
    optional={
        "next_check_at": st.none() | moments,
        "announced_ref": st.sampled_from([None, "1.2"]),
        "admitted_at": st.none() | moments,
        "result": st.sampled_from([None, a_result()]),
        "done_at": st.none() | moments,
        "told": st.sampled_from(["", "next", "half \ud83e"]),
    },
)
new_facts = st.fixed_dictionaries(
    {
        "tenant": st.sampled_from(TENANTS),
        "person": st.sampled_from(USERS),
        "tag": st.integers(0, 2),
        "accepted_at": moments,
    }
)
settlements = st.none() | st.builds(
    Settlement,
    tenant=st.sampled_from(TENANTS),
    user=st.sampled_from(USERS),
    day=st.sampled_from(DAYS),
    held=st.integers(-3, 3),
    spent=st.integers(0, 3),
)
changes = st.builds(
    CounterChange,
    key=st.sampled_from(COUNTERS),
    delta=st.sampled_from([-4, -1, 1, 2, 5]),
    ceiling=st.sampled_from([None, -3, 0, 4, 6]),
)
raises = st.builds(CounterRaise, key=st.sampled_from(COUNTERS), least=st.sampled_from([-5, -1, 0, 3, 8]))
several_counters = st.lists(changes | raises, min_size=1, max_size=3, unique_by=lambda change: change.key)
queries = st.one_of(
    st.fixed_dictionaries({"index": st.just(Index.DUE), "upto": st.none() | moments}),
    st.fixed_dictionaries({"index": st.just(Index.WAITING), "upto": st.sampled_from([None, 0, 1, 2])}),
    st.fixed_dictionaries({"index": st.just(Index.OPEN), "partition": st.sampled_from(TENANTS)}),
    st.fixed_dictionaries(
        {
            "index": st.just(Index.PERSON),
            "partition": st.sampled_from([f"{tenant}/{user}" for tenant in TENANTS for user in USERS]),
        }
    ),
)
odd_queries = st.fixed_dictionaries(
    {
        "index": st.sampled_from(Index),
        "partition": st.sampled_from(["", "T01", "T01/U01"]),
        "upto": st.sampled_from([None, NOW]),
    }
)


@dataclasses.dataclass(frozen=True)
class World:
    """One implementation of both ports."""

    jobs: Jobs
    cells: Cells


def answer_of(call: Callable[[World], object], world: World) -> object:
    """What the call returned, or which error it raised with what inside."""
    try:
        return call(world)
    except ValueError as error:
        return type(error)
    except BotError as error:
        return type(error), error.args, vars(error)


class Twins(RuleBasedStateMachine):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        table = cloud.make_table()
        self.database = Database(MEMORY)
        self.sqlite = World(SqliteJobs(self.database), SqliteCells(self.database))
        self.dynamo = World(
            DynamoJobs(cloud.clients, table=table, retention=90 * A_DAY),
            DynamoCells(cloud.clients, table=table, ids=SequentialIds()),
        )
        self.now = NOW
        self.tokens = SequentialIds()
        self.known: list[str] = []
        self.calls: list[Callable[[World], object]] = []
        self.left_off: list[tuple[dict[str, Any], str | None, str | None]] = []

    def both(self, call: Callable[[World], object]) -> None:
        expected, found = answer_of(call, self.sqlite), answer_of(call, self.dynamo)
        assert found == expected

    def write(self, call: Callable[[World], object]) -> None:
        self.calls.append(call)
        self.both(call)

    @initialize(told=st.lists(facts, min_size=4, max_size=4), moment=moments)
    def start(self, *, told: list[dict[str, Any]], moment: float) -> None:
        """Rows of one person, so that there is something to read and to change."""
        rows = [
            a_job(each, tag=number // 2, accepted_at=moment, **facts)
            for number, (each, facts) in enumerate(zip(IDS, told, strict=False))
        ]
        self.write(lambda world: world.jobs.create(rows, person=a_person(), now=NOW))
        self.known = IDS[:4]

    @rule(seconds=st.sampled_from([1.0, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        ids=some_ids,
        new=new_facts,
        told=facts,
        off=mostly_right,
        guard=st.none() | st.sampled_from(["click", "line"]),
        token=names,
    )
    def create(
        self,
        *,
        ids: list[str],
        new: dict[str, Any],
        told: dict[str, Any],
        off: int,
        guard: str | None,
        token: str | None,
    ) -> None:
        name = self.tokens.token() if token is None else token
        rows = [a_job(each, **new, **told, write_token=name) for each in ids]
        before = self.sqlite.jobs.person(new["tenant"], new["person"])
        person = a_person(
            before.version + 1 + off,
            tenant=new["tenant"],
            user=new["person"],
            held=before.held + 1,
            spent=before.spent,
            write_token=name,
        )
        closed = None if guard is None else Guard(key=guard, until=self.now + 2)
        now = self.now
        self.write(lambda world: world.jobs.create(rows, person=person, guard=closed, now=now))
        self.known = [each for each in IDS if self.sqlite.jobs.get(each)]

    @rule(which=st.integers(0, 9), told=facts, off=mostly_right, token=names)
    def transition(self, *, which: int, told: dict[str, Any], off: int, token: str | None) -> None:
        after = self.next_version(which, off, token, told)
        self.write(lambda world: world.jobs.transition(after))

    @rule(which=st.integers(0, 9), off=mostly_right, token=names, ends=settlements, counters=several_counters)
    def count(
        self,
        *,
        which: int,
        off: int,
        token: str | None,
        ends: Settlement | None,
        counters: Sequence[CounterChange | CounterRaise],
    ) -> None:
        after = self.next_version(which, off, token, {})
        self.write(lambda world: world.jobs.transition(after, settlement=ends, counters=counters))

    def next_version(self, which: int, off: int, token: str | None, told: dict[str, Any]) -> Job:
        """A row that was written once, after one more write, as a caller sees it who is `off` by so much."""
        before = self.sqlite.jobs.get(self.known[which % len(self.known)])
        assert before is not None
        name = self.tokens.token() if token is None else token
        return dataclasses.replace(before, **told, version=before.version + 1 + off, write_token=name)

    @rule(key=st.sampled_from(CELLS), off=mostly_right, number=st.integers(0, 2))
    def write_cell(self, *, key: str, off: int, number: int) -> None:
        before = self.sqlite.cells.read(key)
        expected = (0 if before is None else before.version) + off
        self.both(lambda world: world.cells.write(key, {"number": number}, expected=expected))

    @precondition(lambda self: self.calls)
    @rule(back=st.integers(1, 4))
    def write_again(self, back: int) -> None:
        """A caller who lost the reply, or who comes very late."""
        self.both(self.calls[-min(back, len(self.calls))])

    @rule(asked=queries, limit=st.sampled_from([0, 1, 2, 9]))
    def query(self, *, asked: dict[str, Any], limit: int) -> None:
        self.compare_pages(asked, None, None, limit)

    @rule(asked=odd_queries)
    def ask_oddly(self, asked: dict[str, Any]) -> None:
        self.compare_pages(asked, None, None, limit=9)

    @precondition(lambda self: self.left_off)
    @rule(limit=st.integers(1, 4), which=st.integers(0, 9))
    def read_on(self, *, limit: int, which: int) -> None:
        """From where a query left off, whatever happened since."""
        self.compare_pages(*self.left_off[which % len(self.left_off)], limit)

    def compare_pages(self, asked: dict[str, Any], ours: str | None, theirs: str | None, limit: int) -> None:
        expected = answer_of(lambda world: world.jobs.query(**asked, limit=limit, cursor=ours), self.sqlite)
        found = answer_of(lambda world: world.jobs.query(**asked, limit=limit, cursor=theirs), self.dynamo)
        if not isinstance(expected, Page) or not isinstance(found, Page):
            assert found == expected
            return
        assert found.jobs == expected.jobs
        assert (found.cursor is None) == (expected.cursor is None)
        if found.cursor is not None:
            self.left_off.append((asked, expected.cursor, found.cursor))

    def teardown(self) -> None:
        with closing(self.database):
            self.both(partial(everything, ids=self.known))


def everything(world: World, *, ids: Sequence[str]) -> object:
    """All that can be read, and every index from its beginning to its end."""
    jobs = world.jobs
    return (
        [jobs.get(each) for each in ids],
        [jobs.person(tenant, user) for tenant in TENANTS for user in USERS],
        [jobs.counter(key) for key in COUNTERS],
        [world.cells.read(key) for key in CELLS],
        world.cells.look(CELLS, counters=COUNTERS),
        whole_index(jobs, Index.DUE, ""),
        whole_index(jobs, Index.WAITING, ""),
        [jobs.query(Index.DUE, upto=NOW + step, limit=20).jobs for step in (0, 0.5, 60)],
        [jobs.query(Index.WAITING, upto=tag, limit=20).jobs for tag in (0, 1, 1000)],
        [whole_index(jobs, Index.OPEN, tenant) for tenant in TENANTS],
        [whole_index(jobs, Index.PERSON, f"{tenant}/{user}") for tenant in TENANTS for user in USERS],
    )


def whole_index(jobs: Jobs, index: Index, partition: str) -> list[Job]:
    page = jobs.query(index, partition=partition, limit=9)
    found = list(page.jobs)
    while page.cursor is not None:
        page = jobs.query(index, partition=partition, limit=9, cursor=page.cursor)
        found.extend(page.jobs)
    return found


def test_sqlite_and_dynamodb_answer_alike(cloud: Cloud):
    run_state_machine_as_test(  # a factory is as good as a class, whatever its annotation says
        lambda: Twins(cloud),  # type: ignore[arg-type]  # a factory does, as Hypothesis documents
        settings=settings(
            max_examples=12,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.reuse, Phase.generate],  # shrinking a run of real requests takes minutes
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
