"""The process dies at the worst moment; the next one finishes every job once."""

import dataclasses

import pytest

from bot.domain.job import Outcome, State, output_key, state_of
from infra.slack_manifest import manifest
from tests.scenarios.conftest import MakeStack
from tests.scenarios.mortality import Killed
from tests.scenarios.one_machine import TIMES
from tests.scenarios.stack import Stack, has_ended

EFFECTS = ["sink.announce", "endpoint.submit", "objects.put", "sink.prepare", "sink.deliver", "sink.finish"]
MOMENTS = [(call, after) for call in EFFECTS for after in (False, True)]
NAMES = [f"{'after' if after else 'before'} {call}" for call, after in MOMENTS]
MOST_LIVES = 12
SHORT_LIVED = dataclasses.replace(TIMES, lease=2.0, request_ttl=10.0, invocation_timeout=10.0)
"""Where the endpoint cannot tell that it never got a submission, its life has to pass before the next one."""


@pytest.fixture
def looking(make_stack: MakeStack) -> Stack:
    """A stack whose bot may look for its own cards (the optional history scope), and loses every message."""
    stack = make_stack(settings={"SLACK_HISTORY": "on"}, times=SHORT_LIVED)
    scoped = manifest(f"{stack.bot.url}/slack/events")
    scoped["oauth_config"]["scopes"]["bot"].append("channels:history")
    stack.slack.reinstall(scoped)
    stack.bot.open_without_messages()
    return stack


def is_done_or_drawn(stack: Stack) -> bool:
    """Whether the one job is done. What was handed over is awaited: a drawing would die with the process."""
    (job,) = stack.bot.jobs()
    if state_of(job) is State.SUBMITTED:
        stack.until(lambda: stack.bot.object_bytes(output_key(job)))
    return job.done_at is not None


def sweep_to_death(stack: Stack) -> None:
    """Sweep until the process dies where it was to die."""
    with pytest.raises(Killed):
        stack.sweep_until(lambda: False)


@pytest.mark.parametrize(("call", "after"), MOMENTS, ids=NAMES)
def test_a_crash_around_an_effect_ends_in_one_card_and_one_file(looking: Stack, call: str, after: bool):
    looking.bot.die_at(call, after=after)
    looking.imagine("a red fox")
    sweep_to_death(looking)
    looking.kill_and_restart()

    card = looking.ended()
    assert len(looking.cards()) == 1
    assert len(looking.files(card)) == 1
    assert looking.outcomes() == [Outcome.OK]
    assert looking.bot.in_flight() == 0
    assert looking.bot.gpu_time_used() == looking.bot.jobs()[0].cost


def test_processes_that_live_for_one_write_each_get_there_together(looking: Stack):
    """Each dies with its effect done and the fact about it not yet written."""
    looking.imagine("a red fox")
    for _ in range(MOST_LIVES):
        looking.bot.die_at("jobs.transition", after=False, nth=2)
        try:
            looking.sweep_until(lambda: is_done_or_drawn(looking))
        except Killed:
            looking.bot.die()
            looking.bot.open_without_messages()

    (card,) = looking.cards()
    assert has_ended(card)
    assert len(looking.files(card)) == 1
    assert looking.outcomes() == [Outcome.OK]


def test_without_the_history_scope_a_lost_card_may_be_posted_once_more_and_the_picture_never(make_stack):
    stack = make_stack()
    stack.bot.open_without_messages()
    stack.bot.die_at("sink.announce", after=True)
    stack.imagine("a red fox")
    sweep_to_death(stack)
    stack.kill_and_restart()

    card = stack.ended(number=1)
    assert len(stack.cards()) == 2
    assert [len(stack.files(shown)) for shown in stack.cards()] == [0, 1]
    assert has_ended(card)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_full_size_picture_comes_once_whenever_the_process_dies(looking: Stack, after: bool):
    looking.imagine("a red fox --n 2")
    looking.sweep_until(lambda: all(job.done_at for job in looking.bot.jobs()))
    (card,) = looking.cards()
    looking.bot.die_at("sink.show_original", after=after)
    looking.press(card, "full_size")
    sweep_to_death(looking)
    looking.kill_and_restart()

    looking.until(lambda: looking.bot.jobs()[0].originals_shown)
    assert len(looking.files(card)) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_delete_gets_there_whenever_the_process_dies(looking: Stack, after: bool):
    looking.imagine("a red fox")
    looking.sweep_until(lambda: all(job.done_at for job in looking.bot.jobs()))
    (card,) = looking.cards()
    looking.choose(card, "more", "Delete")
    looking.bot.die_at("sink.remove", after=after)
    looking.press(looking.slack.ephemerals()[-1], "delete")
    sweep_to_death(looking)
    looking.kill_and_restart()

    looking.until(lambda: looking.bot.jobs()[0].removed_at)
    assert looking.files(card) == []
    assert looking.cards()[0].words == "This picture was deleted."


def test_a_failure_survives_a_crash_before_it_was_told(looking: Stack):
    looking.engine.fail_next(RuntimeError("out of order"))
    looking.bot.die_at("sink.finish", after=False)
    looking.imagine("a red fox")
    sweep_to_death(looking)
    looking.kill_and_restart()

    card = looking.ended()
    assert set(card.controls) == {"retry"}
    assert looking.outcomes() == [Outcome.ENGINE_FAILED]
    assert looking.bot.gpu_time_used() == 0


def test_jobs_in_every_state_are_taken_over_together(stack: Stack):
    stack.engine.hold()
    for number in range(5):
        stack.imagine(f"fox number {number}")
    stack.until(lambda: stack.engine.asked and stack.bot.in_flight() == 3)
    stack.kill_and_restart()
    stack.engine.release()

    stack.until(lambda: len(stack.cards()) == 5 and all(map(has_ended, stack.cards())))
    assert all(len(stack.files(card)) == 1 for card in stack.cards())
    stack.until(lambda: stack.outcomes() == [Outcome.OK] * 5)
