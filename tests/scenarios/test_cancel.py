"""A cancelled job says so, shows no picture and costs nothing."""

import pytest

from bot.domain.job import Outcome, output_key
from bot.domain.messages import OUTCOMES
from tests.scenarios.stack import Stack


def begin(stack: Stack, line: str = "a red fox --steps 12"):
    """A drawing that is held after its start; returns its card."""
    stack.engine.hold()
    stack.imagine(line)
    stack.until(lambda: stack.engine.asked)
    return stack.until(lambda: next((card for card in stack.cards() if "cancel" in card.controls), None))


def check_cancelled(stack: Stack, *, number: int = -1) -> None:
    card = stack.ended(number=number)
    assert OUTCOMES[Outcome.CANCELLED] in card.words
    assert set(card.controls) == {"retry"}
    assert stack.files(card) == []


@pytest.mark.only("one_machine")  # an asynchronous invocation cannot be called back
def test_a_drawing_under_way_stops_between_two_steps(stack: Stack):
    card = begin(stack)
    stack.press(card, "cancel")
    stack.engine.release()

    check_cancelled(stack)
    assert stack.engine.drawn == []
    assert stack.engine.steps < 12
    assert stack.outcomes() == [Outcome.CANCELLED]
    assert stack.bot.gpu_time_used() == 0
    assert stack.bot.in_flight() == 0


@pytest.mark.only("aws")
def test_a_drawing_that_cannot_be_stopped_is_drawn_and_thrown_away(stack: Stack):
    card = begin(stack)
    stack.press(card, "cancel")
    check_cancelled(stack)
    stack.engine.release()
    stack.until(lambda: stack.engine.drawn)
    (job,) = stack.bot.jobs()
    stack.until(lambda: stack.bot.object_bytes(output_key(job)))
    stack.until(lambda: "late_result" in stack.bot.log or "result_ignored" in stack.bot.log)

    check_cancelled(stack)
    assert stack.outcomes() == [Outcome.CANCELLED]
    assert stack.bot.gpu_time_used() == 0
    assert stack.bot.in_flight() == 0


def test_the_engine_is_free_for_the_next_one_after_a_cancel(stack: Stack):
    card = begin(stack)
    stack.press(card, "cancel")
    stack.engine.release()

    check_cancelled(stack)
    assert len(stack.files(stack.draw("a blue fox"))) == 1


@pytest.mark.only("one_machine")  # what waits in SageMaker's own queue cannot be taken out of it
def test_a_job_that_waits_behind_another_is_never_drawn(stack: Stack):
    begin(stack)
    stack.imagine("a blue fox")
    second = stack.card(number=1)
    stack.press(second, "cancel")
    stack.engine.release()

    check_cancelled(stack, number=1)
    stack.ended(number=0)
    assert [request.prompt for request in stack.engine.asked] == ["a red fox"]
    assert stack.outcomes() == [Outcome.OK, Outcome.CANCELLED]


def test_cancel_all_ends_ones_own_open_jobs_and_nobody_elses(stack: Stack):
    begin(stack)
    stack.imagine("a blue fox")
    stack.imagine("a green fox", user="robin")
    stack.card(number=2)
    stack.imagine("cancel all")
    stack.engine.release()

    stack.until(lambda: stack.outcomes() == [Outcome.CANCELLED] * 2)
    stack.ended(number=2)
    stack.until(lambda: stack.outcomes("U0000000002") == [Outcome.OK])
    assert "Cancelled 2 jobs." in stack.told()[-1]


def test_a_bare_cancel_ends_the_latest_job(stack: Stack):
    begin(stack)
    stack.imagine("a blue fox")
    stack.card(number=1)
    stack.imagine("cancel")
    stack.engine.release()

    check_cancelled(stack, number=1)
    stack.ended(number=0)
    assert stack.outcomes() == [Outcome.OK, Outcome.CANCELLED]


def test_a_job_can_be_cancelled_by_the_first_characters_of_its_id(stack: Stack):
    begin(stack)
    (job,) = stack.bot.jobs()
    stack.imagine(f"cancel {job.id[:8]}")
    stack.engine.release()

    check_cancelled(stack)


def test_a_second_cancel_is_told_that_it_is_too_late(stack: Stack):
    card = begin(stack)
    stack.press(card, "cancel")
    stack.engine.release()
    check_cancelled(stack)
    stack.press(card, "cancel")

    assert "too late" in stack.told()[-1]
    assert stack.outcomes() == [Outcome.CANCELLED]


def test_nobody_cancels_somebody_elses_drawing(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox", user="robin")
    card = stack.until(lambda: next((c for c in stack.cards() if "cancel" in c.controls), None))
    stack.press(card, "cancel", user="you")
    stack.engine.release()

    assert "Only the person who asked" in stack.told("you")[-1]
    assert len(stack.files(stack.ended())) == 1


def test_an_admin_cancels_anybodys_drawing(stack: Stack):
    card = begin(stack)
    stack.press(card, "cancel", user="robin")
    stack.engine.release()

    check_cancelled(stack)


def test_retry_after_a_cancel_draws_it_after_all(stack: Stack):
    card = begin(stack)
    stack.press(card, "cancel")
    stack.engine.release()
    check_cancelled(stack)
    stack.press(card_of(stack), "retry")

    stack.until(lambda: stack.files(card))
    assert stack.outcomes() == [Outcome.CANCELLED, Outcome.OK]


def card_of(stack: Stack):
    return stack.cards()[0]
