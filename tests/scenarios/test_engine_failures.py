"""Whatever the engine does wrong, the card ends in one plain sentence and a Retry that works."""

import base64
import dataclasses

import pytest

from bot.domain.job import Outcome
from bot.domain.messages import OUTCOMES
from container.serving.errors import BadRequest, OutOfMemory, UnknownName
from tests.scenarios.conftest import MakeStack
from tests.scenarios.one_machine import TIMES
from tests.scenarios.stack import Stack, has_ended
from tests.scenarios.test_subcommands import said

CUT_OFF = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").decode()
SENT_BACK = {
    "an error inside a success": ({"error": {"code": "engine_error", "message": "a red fox"}}, "failed"),
    "an old container's error": ({"error": "CUDA error: a red fox"}, "failed"),
    "no pictures": ({"images": []}, "no picture"),
    "no JSON": (b"<html>a red fox</html>", "no picture"),
    "no base64": ({"images": ["a red fox?"]}, "no picture"),
    "a text file": ({"images": [base64.b64encode(b"a red fox").decode()]}, "no picture"),
    "a cut-off PNG": (
        {"images": [base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").decode()]},
        "no picture",
    ),
}


def check_failed(stack: Stack, outcome: Outcome) -> None:
    """One card with the outcome's sentence and Retry, nothing in the thread, nothing charged."""
    card = stack.ended()
    assert OUTCOMES[outcome] in card.words
    assert set(card.controls) == {"retry"}
    assert len(stack.cards()) == 1
    assert stack.replies(card) == []
    assert stack.outcomes() == [outcome]
    assert stack.bot.gpu_time_used() == 0
    assert stack.bot.in_flight() == 0


@pytest.mark.parametrize(("body", "sign"), SENT_BACK.values(), ids=SENT_BACK)
def test_an_answer_without_a_picture_ends_in_a_plain_sentence(stack: Stack, body, sign: str):
    stack.inference.reply_next(body)
    stack.imagine("a red fox")

    check_failed(stack, Outcome.ENGINE_FAILED if sign == "failed" else Outcome.BAD_PICTURE)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (RuntimeError("a red fox"), Outcome.ENGINE_FAILED),
        (OutOfMemory("no room"), Outcome.OUT_OF_MEMORY),
        (MemoryError(), Outcome.OUT_OF_MEMORY),
        (BadRequest("no such sampler"), Outcome.ENGINE_REFUSED),
        (UnknownName("LoRA", "a red fox", nearest=["the red fox"]), Outcome.UNKNOWN_MODEL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_drawing_that_fails_names_what_helps(stack: Stack, failure: Exception, outcome: Outcome):
    stack.engine.fail_next(failure)
    stack.imagine("a red fox")

    check_failed(stack, outcome)
    assert "red fox" not in stack.bot.log


def test_retry_after_a_failure_draws_into_the_thread(stack: Stack):
    stack.engine.fail_next(RuntimeError("out of order"))
    failed = stack.draw("a red fox")
    stack.press(failed, "retry")

    stack.until(lambda: stack.files(failed))
    assert stack.outcomes() == [Outcome.ENGINE_FAILED, Outcome.OK]
    assert len(stack.cards()) == 1


@pytest.mark.only("one_machine")  # SageMaker replaces an instance whose container calls itself unhealthy
def test_an_engine_that_failed_many_times_in_a_row_is_given_the_next_drawing_too(stack: Stack):
    stack.engine.fail_next(*(RuntimeError("out of order") for _ in range(4)))
    for number in range(5):
        stack.draw(f"fox number {number}")

    assert stack.outcomes() == [Outcome.ENGINE_FAILED] * 4 + [Outcome.OK]


@pytest.mark.only("aws")
def test_what_waits_for_an_unhealthy_container_is_drawn_by_the_one_that_replaces_it(stack: Stack):
    stack.engine.fail_next(*(RuntimeError("out of order") for _ in range(3)))
    for number in range(3):
        stack.draw(f"fox number {number}")
    stack.imagine("the last fox")
    stack.until(lambda: len(stack.cards()) == 4)
    assert not has_ended(stack.cards()[-1])
    stack.inference.stop()
    stack.inference.start()

    assert stack.files(stack.ended())
    assert stack.outcomes() == [Outcome.ENGINE_FAILED] * 3 + [Outcome.OK]


@pytest.fixture
def impatient(make_stack: MakeStack) -> Stack:
    """A stack that gives an endpoint up that does not take a job within a moment."""
    made = make_stack(times=dataclasses.replace(TIMES, endpoint_patience=3.0))
    made.bot.open()
    return made


def test_an_endpoint_that_does_not_answer_is_one_outcome_with_a_retry(impatient: Stack):
    stack = impatient
    stack.lose_endpoint()
    stack.imagine("a red fox")

    check_failed(stack, Outcome.ENDPOINT_DOWN)

    stack.restore_endpoint()
    stack.until(lambda: "awake" in said(stack, "info"))
    card = stack.ended()
    stack.press(card, "retry")
    stack.until(lambda: stack.files(card))


def test_while_the_endpoint_is_down_the_card_says_so(impatient: Stack):
    stack = impatient
    stack.lose_endpoint()
    stack.imagine("a red fox")

    stack.until(lambda: "does not answer" in stack.card().words)
    check_failed(stack, Outcome.ENDPOINT_DOWN)


def test_a_server_that_is_shut_down_while_drawing_is_one_outcome(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox")
    stack.until(lambda: stack.engine.asked)
    stack.inference.stop()

    check_failed(stack, Outcome.ENDPOINT_DOWN)
