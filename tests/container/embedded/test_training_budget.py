"""How training stages know how far they have come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.embedded.training.budget import Minutes, Steps, warm_fall


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_steps_count_as_a_share_of_all() -> None:
    assert [Steps(8).share(step) for step in (0, 2, 8)] == [0, 0.25, 1]


def test_nothing_is_left_of_no_steps() -> None:
    assert Steps(0).share(0) >= 1


def test_minutes_count_whatever_the_step() -> None:
    clock = Clock()
    budget = Minutes(2, clock=clock)
    assert budget.share(0) == budget.share(500) == 0
    clock.now += 60
    assert budget.share(1) == 0.5
    clock.now += 60
    assert budget.share(1) == 1


def test_a_resumed_training_goes_on_from_its_share() -> None:
    """The learning rate goes on falling where it stood, and ends after the minutes that were given now."""
    clock = Clock()
    budget = Minutes(1, done=0.6, clock=clock)
    assert budget.share(0) == pytest.approx(0.6)
    clock.now += 30
    assert budget.share(0) == pytest.approx(0.8)
    clock.now += 30
    assert budget.share(0) == pytest.approx(1)


def test_the_learning_rate_rises_over_the_warm_up() -> None:
    rates = [warm_fall(step, 0.0, warm=4) for step in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1, 1, 1]


@given(shares=st.lists(st.floats(0, 1.2), min_size=2, max_size=2).map(sorted))
def test_after_the_warm_up_the_learning_rate_only_falls(shares: list[float]) -> None:
    earlier, later = (warm_fall(1000, share) for share in shares)
    assert 1 >= earlier >= later >= 0.02 - 1e-12


def test_the_learning_rate_ends_low_but_above_nothing() -> None:
    assert warm_fall(1000, 1.0) == pytest.approx(0.02)
