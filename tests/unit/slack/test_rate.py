"""Progress edits give way to final states, and a channel is not flooded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Busy, CellMoved, Unavailable
from bot.local.database import Database
from bot.local.sqlite_cells import SqliteCells
from bot.slack.rate import EDITS, POSTS, EditBudget, PostPace

NOW = 1_800_000_000.0


class BrokenCells:
    def __init__(self, error):
        self.error = error

    def read(self, key):
        raise self.error

    def write(self, key, value, *, expected):
        raise self.error


class RacedCells:
    """Every read is followed by somebody else's write."""

    def __init__(self, cells):
        self.cells = cells

    def read(self, key):
        cell = self.cells.read(key)
        self.cells.write(key, {"tokens": 3.0, "at": NOW}, expected=cell.version if cell else 0)
        return cell

    def write(self, key, value, *, expected):
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


def test_a_channel_takes_a_short_burst_and_then_one_post_a_second(cells):
    pace = PostPace(cells)
    for _ in range(int(POSTS.burst)):
        pace.take("C1", NOW)

    with pytest.raises(Busy) as busy:
        pace.take("C1", NOW)
    assert busy.value.retry_after == pytest.approx(1.0)
    pace.take("C1", NOW + 1)


def test_channels_do_not_wait_for_each_other(cells):
    pace = PostPace(cells)
    for _ in range(int(POSTS.burst)):
        pace.take("C1", NOW)

    pace.take("C2", NOW)


def test_a_lost_race_for_a_post_asks_to_come_again(cells):
    with pytest.raises(Busy):
        PostPace(RacedCells(cells)).take("C1", NOW)


@given(st.lists(st.floats(-5, 5), max_size=30))
def test_a_clock_that_jumps_never_hands_out_more_than_the_burst(jumps):
    database = Database(":memory:")
    budget, now, handed = EditBudget(SqliteCells(database)), NOW, 0
    for jump in jumps:
        now += jump
        handed += budget.take(now)
    database.close()

    assert handed <= EDITS.burst + EDITS.per_second * max(0.0, sum(abs(jump) for jump in jumps)) + 1
