"""Progress edits give way to final states, and a channel is not flooded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Busy, CellMoved, Unavailable
from bot.local.database import Database
from bot.local.sqlite_cells import SqliteCells
from bot.slack.rate import EDITS, EDITS_KEY, MOST_DEBT, POSTS, POSTS_KEY, UNASKED, EditBudget, PostPace

NOW = 1_800_000_000.0
APART = 1 / POSTS.per_second


class BrokenCells:
    def __init__(self, error):
        self.error = error

    def write(self, key, value, *, expected):
        raise self.error


class RacedCells:
    """Somebody else's write comes before every one of ours."""

    def __init__(self, cells):
        self.cells = cells

    def write(self, key, value, *, expected):
        cell = self.cells.read(key)
        self.cells.write(key, {"tokens": 3.0, "at": NOW}, expected=cell.version if cell else 0)
        return self.cells.write(key, value, expected=expected)


@pytest.fixture
def cells(tmp_path):
    database = Database(tmp_path / "cells.db")
    yield SqliteCells(database)
    database.close()


def taken(budget, seconds):
    return sum(budget.take(NOW + second / 10) for second in range(seconds * 10))


def test_progress_edits_stay_below_slacks_fifty_a_minute(cells):
    assert taken(EditBudget(cells), 60) <= 48


def test_two_workers_share_one_budget(cells):
    first, second = EditBudget(cells), EditBudget(cells)

    assert sum(worker.take(NOW) for worker in (first, second) for _ in range(20)) == EDITS.burst


def test_final_states_are_never_held_back_and_push_progress_aside(cells):
    budget = EditBudget(cells)
    for _ in range(10):
        budget.charge(NOW)

    assert not budget.take(NOW)
    assert not budget.take(NOW + 2)
    assert budget.take(NOW + 10)


def test_final_states_cost_no_call_until_there_are_many(cells):
    budget = EditBudget(cells)
    for _ in range(MOST_DEBT - 1):
        budget.charge(NOW)
    assert cells.read(EDITS_KEY) is None

    budget.charge(NOW)
    assert cells.read(EDITS_KEY).value["tokens"] == EDITS.burst - MOST_DEBT


def test_final_states_of_one_worker_push_the_progress_of_another_aside(cells):
    first, second = EditBudget(cells), EditBudget(cells)
    for _ in range(5):
        first.charge(NOW)
    assert first.take(NOW)

    assert sum(second.take(NOW) for _ in range(20)) == EDITS.burst - 6


def test_even_many_final_states_do_not_silence_progress_for_ever(cells):
    budget = EditBudget(cells)
    for _ in range(40):
        budget.charge(NOW)

    assert budget.take(NOW + 30)


@pytest.mark.parametrize("error", [CellMoved("x"), Unavailable("x")])
def test_without_the_shared_row_progress_is_skipped_and_final_states_go_on(error):
    budget = EditBudget(BrokenCells(error))

    budget.charge(NOW)
    assert not budget.take(NOW)


def test_a_lost_race_for_a_token_skips_the_edit(cells):
    assert not EditBudget(RacedCells(cells)).take(NOW)


def turn(pace, channel="C1", now=NOW):
    """Seconds until a post's turn."""
    try:
        pace.take(channel, now)
    except Busy as busy:
        return busy.retry_after
    return 0.0


def test_a_channel_takes_a_short_burst_and_then_one_post_a_second(cells):
    pace = PostPace(cells)

    assert [turn(pace) for _ in range(6)] == pytest.approx([0, 0, 0, APART, 2 * APART, 3 * APART])


def test_posts_into_a_quiet_channel_cost_no_call(cells):
    pace = PostPace(cells)

    assert [turn(pace, now=NOW + minute * 60) for minute in range(5)] == [0.0] * 5
    assert cells.read(f"{POSTS_KEY}/C1") is None


def test_in_a_busy_channel_two_workers_take_turns(cells):
    workers = [PostPace(cells), PostPace(cells)]
    for worker in workers:
        assert [turn(worker) for _ in range(2)] == [0.0, 0.0]

    turns = [turn(worker) for _ in range(3) for worker in workers]
    assert turns == pytest.approx([place * APART for place in range(6)])


def test_what_slack_refused_gets_a_turn_behind_those_that_wait(cells):
    pace, other = PostPace(cells), PostPace(cells)
    for _ in range(5):
        turn(pace)

    assert other.turn("C1", NOW) == pytest.approx(3 * APART)
    assert turn(other) == pytest.approx(4 * APART), "it asks from now on"


def test_who_knows_of_a_queue_asks_also_after_a_while(cells):
    pace = PostPace(cells)
    for _ in range(33):
        turn(pace)

    assert turn(pace, now=NOW + 20) == pytest.approx(31 * APART - 20)


def test_channels_do_not_wait_for_each_other(cells):
    pace = PostPace(cells)
    for _ in range(6):
        turn(pace)

    assert turn(pace, "C2") == 0.0


@pytest.mark.parametrize("error", [CellMoved("x"), Unavailable("x")])
def test_without_the_shared_row_posts_go_on(error):
    pace = PostPace(BrokenCells(error))

    assert [turn(pace) for _ in range(5)] == [0.0] * 5


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 3)), max_size=60), st.floats(1, 30))
def test_three_workers_post_no_faster_than_slack_allows(posts, window):
    database = Database(":memory:")
    cells, now, times = SqliteCells(database), NOW, []
    workers = [PostPace(cells) for _ in range(3)]
    for worker, later in posts:
        now += later
        times.append(now + turn(workers[worker], now=now))
    database.close()

    unasked = len(workers) * (UNASKED.burst + UNASKED.per_second * window)
    most = max((sum(one <= other < one + window for other in times) for one in times), default=0)
    assert most <= POSTS.burst + POSTS.per_second * window + unasked + 1


@given(st.lists(st.floats(-5, 5), max_size=30))
def test_a_clock_that_jumps_never_hands_out_more_than_the_burst(jumps):
    database = Database(":memory:")
    budget, now, handed = EditBudget(SqliteCells(database)), NOW, 0
    for jump in jumps:
        now += jump
        handed += budget.take(now)
    database.close()

    assert handed <= EDITS.burst + EDITS.per_second * max(0.0, sum(abs(jump) for jump in jumps)) + 1
