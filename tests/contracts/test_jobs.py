"""What every implementation of the port Jobs promises. Another one adds a parameter to `jobs`."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bot.aws.dynamo_items import A_DAY
from bot.aws.dynamo_jobs import DynamoJobs
from bot.domain.errors import (
    AlreadyExists,
    BotError,
    CeilingReached,
    Conflict,
    GuardClosed,
    JobMoved,
    PersonMoved,
    Rejected,
)
from bot.domain.job import Job, Outcome
from bot.domain.person import Person
from bot.local.database import MEMORY, Database
from bot.local.faults import FaultyJobs, LaggingIndex
from bot.local.sqlite_jobs import SqliteJobs
from bot.ports import CounterChange, CounterRaise, Guard, Index, Jobs
from tests.aws.cloud import Cloud
from tests.contracts.rows import NOW, TENANT, USER, a_job, a_person, a_result, a_settlement, after


@pytest.fixture(params=["sqlite_file", "sqlite_memory", "switches_off", "dynamodb"])
def jobs(request) -> Jobs:
    """ "switches_off" is the store that tests and simulator put faults into, with every switch off."""
    store: Jobs = request.getfixturevalue(request.param)
    return store


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[Jobs]:
    with closing(Database(tmp_path / "jobs.db")) as database:
        yield SqliteJobs(database)


@pytest.fixture
def sqlite_memory() -> Iterator[Jobs]:
    with closing(Database(MEMORY)) as database:
        yield SqliteJobs(database)


@pytest.fixture
def switches_off(sqlite_memory: Jobs) -> Iterator[Jobs]:
    with closing(Database(MEMORY)) as index:
        yield FaultyJobs(LaggingIndex(sqlite_memory, index=SqliteJobs(index), lag=0))


@pytest.fixture
def dynamodb(cloud: Cloud) -> Jobs:
    return DynamoJobs(cloud.clients, table=cloud.make_table(), retention=90 * A_DAY)


def outcomes_of(calls: list[Callable[[], None]]) -> list[BotError | None]:
    """Run the calls at the same moment, each in a thread; what each raised, None for success."""
    start = threading.Barrier(len(calls))
    raised: list[BotError | None] = [None] * len(calls)

    def run(index: int) -> None:
        start.wait()
        try:
            calls[index]()
        except BotError as error:
            raised[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


class TestCreate:
    def test_rows_and_person_are_read_back_as_written(self, jobs: Jobs):
        row, person = a_job(), a_person(held=1000, tag=1000)
        jobs.create([row], person=person, now=NOW)
        assert jobs.get(row.id) == row
        assert jobs.person(TENANT, USER) == person

    def test_every_fact_survives(self, jobs: Jobs):
        row = a_job(
            parent="b" * 26,
            notes=("seed fixed",),
            announced_ref="1.2",
            submissions=2,
            submitted_at=NOW + 0.125,
            held=a_result(),
            result=a_result(Outcome.ENGINE_FAILED),
            delivery_refs=("F1", "F2"),
            undelivered=Outcome.CANNOT_DELIVER,
            lease_owner="boot-1",
        )
        jobs.create([row], person=a_person(), now=NOW)
        assert jobs.get(row.id) == row

    def test_text_that_is_not_valid_unicode_survives(self, jobs: Jobs):
        odd = a_job()
        odd = dataclasses.replace(
            odd, request=dataclasses.replace(odd.request, prompt="half \ud83e a fox \x00")
        )
        jobs.create([odd], person=a_person(), now=NOW)
        assert jobs.get(odd.id) == odd

    def test_an_unknown_job_is_none_and_an_unknown_person_is_fresh(self, jobs: Jobs):
        assert jobs.get("z" * 26) is None
        assert jobs.person(TENANT, "U99") == Person(tenant=TENANT, user="U99")

    def test_a_lost_reply_to_a_landed_create_is_success(self, jobs: Jobs):
        row, guard = a_job(), Guard(key="click", until=NOW + 10)
        for _ in range(2):
            jobs.create([row], person=a_person(), guard=guard, now=NOW)
        assert jobs.person(TENANT, USER).version == 1

    def test_a_lost_reply_is_success_even_after_a_worker_went_on_with_the_row(self, jobs: Jobs):
        row = a_job()
        jobs.create([row], person=a_person(), now=NOW)
        announced = after(row, announced_ref="1.2")
        jobs.transition(announced)
        jobs.create([row], person=a_person(), now=NOW)
        assert jobs.get(row.id) == announced

    def test_another_write_of_the_same_job_is_refused(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        with pytest.raises(AlreadyExists) as refusal:
            jobs.create([a_job(write_token="other")], person=a_person(2), now=NOW)
        assert refusal.value.job_id == a_job().id

    def test_rows_without_tokens_are_never_taken_for_the_same_write(self, jobs: Jobs):
        jobs.create([a_job(write_token="")], person=a_person(), now=NOW)
        with pytest.raises(AlreadyExists):
            jobs.create([a_job(write_token="")], person=a_person(2), now=NOW)

    def test_several_rows_land_together_or_not_at_all(self, jobs: Jobs):
        jobs.create([a_job("b" * 26)], person=a_person(), now=NOW)
        with pytest.raises(AlreadyExists):
            jobs.create([a_job("c" * 26), a_job("b" * 26, write_token="other")], person=a_person(2), now=NOW)
        assert jobs.get("c" * 26) is None
        assert jobs.person(TENANT, USER).version == 1

    @pytest.mark.parametrize("version", [0, 1, 3])
    def test_a_person_who_moved_leaves_nothing_behind(self, jobs: Jobs, version: int):
        jobs.create([a_job("b" * 26)], person=a_person(), now=NOW)
        with pytest.raises(PersonMoved) as moved:
            jobs.create([a_job()], person=a_person(version), now=NOW)
        assert moved.value.current == a_person()
        assert jobs.get(a_job().id) is None


class TestGuard:
    def test_a_second_click_names_the_job_of_the_first(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), guard=Guard(key="click", until=NOW + 10), now=NOW)
        with pytest.raises(GuardClosed) as refusal:
            jobs.create(
                [a_job("b" * 26)], person=a_person(2), guard=Guard(key="click", until=NOW + 19), now=NOW + 9
            )
        assert refusal.value.job_id == a_job().id
        assert jobs.get("b" * 26) is None

    def test_another_key_is_free(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), guard=Guard(key="click", until=NOW + 10), now=NOW)
        jobs.create([a_job("b" * 26)], person=a_person(2), guard=Guard(key="other", until=NOW + 10), now=NOW)
        assert jobs.get("b" * 26) is not None

    def test_the_key_is_free_again_when_its_time_is_over(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), guard=Guard(key="click", until=NOW + 10), now=NOW)
        jobs.create(
            [a_job("b" * 26)], person=a_person(2), guard=Guard(key="click", until=NOW + 20), now=NOW + 10
        )
        assert jobs.get("b" * 26) is not None

    def test_a_refused_write_does_not_close_the_guard(self, jobs: Jobs):
        guard = Guard(key="click", until=NOW + 10)
        with pytest.raises(PersonMoved):
            jobs.create([a_job()], person=a_person(7), guard=guard, now=NOW)
        jobs.create([a_job()], person=a_person(), guard=guard, now=NOW)
        assert jobs.get(a_job().id) is not None


class TestTransition:
    def test_the_row_is_replaced(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        announced = after(a_job(), announced_ref="1.2", next_check_at=None)
        jobs.transition(announced)
        assert jobs.get(announced.id) == announced

    def test_a_row_that_moved_is_left_alone(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        first = after(a_job(), "first", announced_ref="1.2")
        jobs.transition(first)
        with pytest.raises(JobMoved):
            jobs.transition(after(a_job(), "second", announced_ref="3.4"))
        assert jobs.get(first.id) == first

    def test_a_row_that_does_not_exist_has_moved(self, jobs: Jobs):
        with pytest.raises(JobMoved):
            jobs.transition(after(a_job()))
        assert jobs.get(a_job().id) is None

    def test_a_version_from_the_future_has_moved(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        with pytest.raises(JobMoved):
            jobs.transition(after(after(a_job())))

    def test_a_lost_reply_to_a_landed_write_is_success_and_counts_once(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        settled = after(a_job(), "settle", done_at=NOW)
        for _ in range(2):
            jobs.transition(
                settled, settlement=a_settlement(spent=5), counters=[CounterChange(key="month", delta=5)]
            )
        assert jobs.counter("month") == 5
        assert jobs.person(TENANT, USER) == a_person(spent=5)

    def test_a_settlement_adds_to_the_row_of_its_day(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(held=1000, spent=10, tag=7), now=NOW)
        jobs.transition(after(a_job()), settlement=a_settlement(held=-1000, spent=990))
        assert jobs.person(TENANT, USER) == a_person(held=0, spent=1000, tag=7)

    def test_a_hold_worked_out_before_a_settlement_keeps_it(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(held=1000, tag=1), now=NOW)
        jobs.transition(after(a_job()), settlement=a_settlement(held=-1000, spent=990))
        jobs.create([a_job("b" * 26)], person=a_person(2, held=2000, tag=2), now=NOW)
        assert jobs.person(TENANT, USER) == a_person(2, held=1000, spent=990, tag=2)

    def test_the_first_hold_of_a_day_starts_anew(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(held=1000, spent=10, day="2027-01-14"), now=NOW)
        today = a_person(2, held=1000, tag=2)
        jobs.create([a_job("b" * 26)], person=today, now=NOW)
        assert jobs.person(TENANT, USER) == today

    def test_a_settlement_of_another_day_changes_only_the_job(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(held=1000), now=NOW)
        jobs.transition(after(a_job()), settlement=a_settlement(day="2027-01-14", held=-1000))
        assert jobs.get(a_job().id) == after(a_job())
        assert jobs.person(TENANT, USER) == a_person(held=1000)

    def test_a_settlement_for_nobody_changes_only_the_job(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        jobs.transition(after(a_job()), settlement=a_settlement(user="U99", held=-1000))
        assert jobs.get(a_job().id) == after(a_job())
        assert jobs.person(TENANT, "U99").version == 0


class TestCounters:
    def test_an_untouched_counter_is_zero(self, jobs: Jobs):
        assert jobs.counter("month") == 0

    def test_a_counter_may_reach_its_ceiling_but_not_pass_it(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        first = after(a_job(), "first")
        jobs.transition(first, counters=[CounterChange(key="month", delta=10, ceiling=10)])
        with pytest.raises(CeilingReached) as refusal:
            jobs.transition(
                after(first, "second"), counters=[CounterChange(key="month", delta=1, ceiling=10)]
            )
        assert refusal.value.key == "month"
        assert jobs.counter("month") == 10
        assert jobs.get(first.id) == first

    def test_one_ceiling_reached_takes_back_the_other_counters_and_the_person(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        with pytest.raises(CeilingReached):
            jobs.transition(
                after(a_job()),
                settlement=a_settlement(spent=5),
                counters=[
                    CounterRaise(key="virtual", least=4),
                    CounterChange(key="team", delta=1),
                    CounterChange(key="month", delta=2, ceiling=1),
                ],
            )
        assert (jobs.counter("team"), jobs.counter("virtual")) == (0, 0)
        assert jobs.person(TENANT, USER).version == 1

    def test_a_counter_is_raised_and_never_lowered(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        row = a_job()
        for number, (least, value) in enumerate([(5, 5), (3, 5), (5, 5), (9, 9)]):
            row = after(row, f"raise-{number}")
            jobs.transition(row, counters=[CounterRaise(key="virtual", least=least)])
            assert jobs.counter("virtual") == value
        assert jobs.get(row.id) == row

    def test_a_raise_without_effect_does_not_hide_a_ceiling(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        first = after(a_job(), "first")
        jobs.transition(
            first,
            counters=[CounterRaise(key="virtual", least=5), CounterChange(key="flight", delta=1, ceiling=1)],
        )
        with pytest.raises(CeilingReached):
            jobs.transition(
                after(first, "second"),
                counters=[
                    CounterRaise(key="virtual", least=4),
                    CounterChange(key="flight", delta=1, ceiling=1),
                ],
            )
        assert jobs.get(first.id) == first

    def test_what_was_taken_can_be_given_back(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        first = after(a_job(), "first")
        jobs.transition(first, counters=[CounterChange(key="flight", delta=1, ceiling=1)])
        jobs.transition(after(first, "second"), counters=[CounterChange(key="flight", delta=-1)])
        assert jobs.counter("flight") == 0


class TestRaces:
    def test_of_two_workers_on_one_row_exactly_one_wins(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)
        rivals = [after(a_job(), f"rival-{number}", announced_ref=f"{number}") for number in range(8)]
        raised = outcomes_of([partial(jobs.transition, row) for row in rivals])
        assert [type(error) for error in raised if error] == [JobMoved] * 7
        assert jobs.get(a_job().id) == rivals[raised.index(None)]

    def test_one_click_delivered_many_times_makes_one_job(self, jobs: Jobs):
        copies = [a_job(write_token=f"copy-{number}") for number in range(8)]
        raised = outcomes_of([partial(jobs.create, [row], person=a_person(), now=NOW) for row in copies])
        assert raised.count(None) == 1
        assert {type(error) for error in raised if error} == {AlreadyExists}
        assert jobs.person(TENANT, USER).version == 1

    def test_a_ceiling_holds_against_thirty_two_at_once(self, jobs: Jobs):
        rows = [a_job(f"{number:026d}") for number in range(32)]
        jobs.create(rows, person=a_person(), now=NOW)
        change = CounterChange(key="month", delta=3, ceiling=31)
        raised = outcomes_of([partial(jobs.transition, after(row), counters=[change]) for row in rows])
        assert raised.count(None) == 10
        assert {type(error) for error in raised if error} == {CeilingReached}
        assert jobs.counter("month") == 30

    def test_readers_beside_each_other_all_see_what_was_written(self, jobs: Jobs):
        jobs.create([a_job()], person=a_person(), now=NOW)

        def read() -> None:
            for _ in range(20):
                assert jobs.get(a_job().id) == a_job()
                assert jobs.query(Index.DUE, limit=1).jobs == (a_job(),)

        assert outcomes_of([read] * 8) == [None] * 8

    def test_a_person_cannot_spend_the_same_quota_twice(self, jobs: Jobs):
        rows = [a_job(f"{number:026d}") for number in range(8)]
        raised = outcomes_of(
            [partial(jobs.create, [row], person=a_person(held=1000), now=NOW) for row in rows]
        )
        assert raised.count(None) == 1
        assert all(isinstance(error, Conflict) for error in raised if error)


class TestQueries:
    def test_due_rows_come_oldest_first_up_to_the_moment(self, jobs: Jobs):
        late, soon, never, now = (
            a_job(letter * 26, next_check_at=moment)
            for letter, moment in (("a", NOW + 1), ("b", NOW - 5), ("c", None), ("d", NOW))
        )
        jobs.create([late, soon, never, now], person=a_person(), now=NOW)
        assert jobs.query(Index.DUE, upto=NOW, limit=10).jobs == (soon, now)
        assert jobs.query(Index.DUE, limit=10).jobs == (soon, now, late)

    def test_a_row_leaves_the_due_index_when_it_is_done_with(self, jobs: Jobs):
        jobs.create([a_job(next_check_at=NOW)], person=a_person(), now=NOW)
        jobs.transition(after(a_job(), next_check_at=None))
        assert jobs.query(Index.DUE, upto=NOW, limit=10).jobs == ()

    def test_waiting_rows_are_the_announced_unadmitted_ones_by_tag(self, jobs: Jobs):
        behind = a_job("a" * 26, announced_ref="1", tag=30)
        ahead = a_job("b" * 26, announced_ref="2", tag=10)
        unannounced = a_job("c" * 26, tag=5)
        admitted = a_job("d" * 26, announced_ref="3", admitted_at=NOW, tag=1)
        cancelled = a_job("e" * 26, announced_ref="4", result=a_result(Outcome.CANCELLED), tag=2)
        jobs.create([behind, ahead, unannounced, admitted, cancelled], person=a_person(), now=NOW)
        assert jobs.query(Index.WAITING, limit=10).jobs == (ahead, behind)
        assert jobs.query(Index.WAITING, upto=30, limit=10).jobs == (ahead,)

    def test_open_rows_are_the_unfinished_ones_of_a_tenant_oldest_first(self, jobs: Jobs):
        young = a_job("a" * 26, accepted_at=NOW + 2)
        old = a_job("b" * 26, accepted_at=NOW + 1, result=a_result())
        done = a_job("c" * 26, result=a_result(), done_at=NOW)
        foreign = a_job("d" * 26, tenant="T02")
        jobs.create([young, old, done, foreign], person=a_person(), now=NOW)
        assert jobs.query(Index.OPEN, partition=TENANT, limit=10).jobs == (old, young)

    def test_a_persons_rows_come_newest_first_finished_or_not(self, jobs: Jobs):
        old = a_job("a" * 26, accepted_at=NOW, done_at=NOW)
        young = a_job("b" * 26, accepted_at=NOW + 1)
        somebody_elses = a_job("c" * 26, person="U02")
        jobs.create([old, young, somebody_elses], person=a_person(), now=NOW)
        assert jobs.query(Index.PERSON, partition=f"{TENANT}/{USER}", limit=10).jobs == (young, old)

    @pytest.mark.parametrize(
        ("index", "partition"),
        [(Index.DUE, ""), (Index.WAITING, ""), (Index.OPEN, TENANT), (Index.PERSON, f"{TENANT}/{USER}")],
    )
    def test_pages_joined_by_cursors_are_the_whole_index_in_order(
        self, jobs: Jobs, index: Index, partition: str
    ):
        """Equal positions in the index, as here in threes, neither repeat nor hide a row."""
        rows = [
            a_job(
                f"{number:026d}",
                announced_ref="1",
                tag=number // 3,
                accepted_at=NOW + number // 3,
                next_check_at=NOW + number // 3,
            )
            for number in range(10)
        ]
        jobs.create(rows, person=a_person(), now=NOW)
        whole = jobs.query(index, partition=partition, limit=100)
        assert len(whole.jobs) == 10
        assert whole.cursor is None
        collected: list[Job] = []
        cursor, pages = None, 0
        while pages == 0 or cursor is not None:
            page = jobs.query(index, partition=partition, limit=4, cursor=cursor)
            assert len(page.jobs) <= 4
            collected.extend(page.jobs)
            cursor, pages = page.cursor, pages + 1
        assert tuple(collected) == whole.jobs

    def test_a_cursor_goes_on_from_its_place_though_rows_before_it_are_gone(self, jobs: Jobs):
        rows = [a_job(f"{number:026d}", next_check_at=NOW + number) for number in range(4)]
        jobs.create(rows, person=a_person(), now=NOW)
        page = jobs.query(Index.DUE, limit=2)
        jobs.transition(after(rows[0], next_check_at=None))
        assert jobs.query(Index.DUE, limit=2, cursor=page.cursor).jobs == (rows[2], rows[3])

    @pytest.mark.parametrize("cursor", ["", "x", "bm9uc2Vuc2U=", "W10=", "\ud800", "WzEsMiwzXQ=="])
    def test_an_invented_cursor_is_refused(self, jobs: Jobs, cursor: str):
        with pytest.raises(Rejected):
            jobs.query(Index.DUE, limit=2, cursor=cursor)

    @pytest.mark.parametrize(
        ("index", "partition"), [(Index.DUE, "T01"), (Index.OPEN, ""), (Index.PERSON, "T01")]
    )
    def test_a_partition_that_does_not_fit_the_index_is_a_mistake_of_the_caller(
        self, jobs: Jobs, index: Index, partition: str
    ):
        with pytest.raises(ValueError, match="partition"):
            jobs.query(index, partition=partition, limit=1)
