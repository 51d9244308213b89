"""Events that come twice, too early, too late or never change nothing about what people see."""

import json

import pytest

from bot.domain.job import Outcome, failure_prefix, output_key
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack, face, has_ended

FAILURE = json.dumps({"error": {"code": "engine_error"}}).encode()


@pytest.fixture
def silent(make_stack: MakeStack) -> Stack:
    """A stack in which every nudge and every event is lost."""
    made = make_stack()
    made.bot.open_without_messages()
    return made


def drawn_by_sweeps(stack: Stack):
    """Sweep until the card shows an outcome and the job is settled; returns the card."""
    stack.sweep_until(lambda: stack.cards() and has_ended(stack.cards()[-1]))
    stack.sweep_until(lambda: all(job.done_at for job in stack.bot.jobs()))
    return stack.cards()[-1]


@pytest.mark.parametrize("line", ["a red fox", "a red fox --n 4"])
def test_with_every_message_lost_the_sweep_alone_delivers(silent: Stack, line: str):
    silent.imagine(line)

    card = drawn_by_sweeps(silent)
    assert len(silent.files(card)) == 1
    assert len(silent.cards()) == 1
    assert silent.outcomes() == [Outcome.OK]


def test_with_every_message_lost_the_sweep_alone_tells_a_failure(silent: Stack):
    silent.engine.fail_next(RuntimeError("out of order"))
    silent.imagine("a red fox")

    card = drawn_by_sweeps(silent)
    assert set(card.controls) == {"retry"}
    assert silent.outcomes() == [Outcome.ENGINE_FAILED]


def test_with_every_message_lost_the_sweep_alone_finishes_a_queue(silent: Stack):
    for number in range(5):
        silent.imagine(f"fox number {number}")

    silent.sweep_until(lambda: len(silent.cards()) == 5 and all(map(has_ended, silent.cards())))
    assert all(len(silent.files(card)) == 1 for card in silent.cards())
    silent.sweep_until(lambda: silent.outcomes() == [Outcome.OK] * 5)


def test_a_result_event_that_comes_again_changes_nothing(stack: Stack):
    card = stack.draw("a red fox")
    (job,) = stack.bot.jobs()
    for _ in range(3):
        stack.bot.repeat_result_event(job)

    assert len(stack.files(card)) == 1
    stack.until(lambda: face(stack.cards()[0]) == face(card))
    assert stack.bot.in_flight() == 0
    assert stack.bot.gpu_time_used() == job.cost


def test_a_result_event_before_there_is_a_result_changes_nothing(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox")
    stack.until(lambda: stack.engine.asked)
    (job,) = stack.bot.jobs()
    stack.bot.repeat_result_event(job)
    assert not has_ended(stack.card())
    stack.engine.release()

    assert len(stack.files(stack.ended())) == 1


def test_a_failure_that_arrives_after_the_picture_changes_nothing(stack: Stack):
    card = stack.draw("a red fox")
    (job,) = stack.bot.jobs()
    stack.bot.put_object(f"{failure_prefix(job)}-late-error.out", FAILURE)
    stack.bot.repeat_result_event(job)

    assert stack.outcomes() == [Outcome.OK]
    stack.until(lambda: face(stack.cards()[0]) == face(card))


def test_a_picture_that_arrives_after_the_failure_changes_nothing(stack: Stack):
    stack.engine.fail_next(RuntimeError("out of order"))
    card = stack.draw("a red fox")
    (job,) = stack.bot.jobs()
    stack.bot.put_object(output_key(job), b'{"images": []}')
    stack.bot.repeat_result_event(job)

    assert stack.outcomes() == [Outcome.ENGINE_FAILED]
    assert stack.files(card) == []


def test_events_of_one_job_in_the_wrong_order_are_one_delivery(silent: Stack):
    silent.imagine("a red fox")
    silent.sweep_until(lambda: silent.engine.drawn)
    (job,) = silent.bot.jobs()
    silent.until(lambda: silent.bot.object_bytes(output_key(job)))
    for _ in range(2):
        silent.bot.repeat_result_event(job)

    card = drawn_by_sweeps(silent)
    assert len(silent.files(card)) == 1
