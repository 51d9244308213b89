"""Slack throttles, breaks, answers late or not at all: still one card, one delivery, one outcome."""

import dataclasses

import pytest

from bot.domain.job import Outcome
from bot.domain.messages import WAITS_FOR_SLACK
from infra.local.slack.faults import FaultKind
from infra.slack_manifest import manifest
from tests.scenarios.conftest import MakeStack
from tests.scenarios.one_machine import TIMES
from tests.scenarios.stack import Stack, has_ended

CALLS = [
    "chat.postMessage",
    "chat.update",
    "files.getUploadURLExternal",
    "upload",
    "files.completeUploadExternal",
    "files.info",
]
KINDS = [FaultKind.RATE_LIMITED, FaultKind.SERVER_ERROR, FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER]


@pytest.fixture
def make_looking(make_stack: MakeStack) -> MakeStack:
    """Opens a stack whose bot may look for its own cards (the optional history scope)."""

    def make(**chosen: object) -> Stack:
        stack = make_stack(settings={"SLACK_HISTORY": "on"}, **chosen)
        scoped = manifest(f"{stack.bot.url}/slack/events")
        scoped["oauth_config"]["scopes"]["bot"].append("channels:history")
        stack.slack.reinstall(scoped)
        stack.bot.open()
        return stack

    return make


@pytest.fixture
def looking(make_looking: MakeStack) -> Stack:
    return make_looking()


def check_delivered_once(stack: Stack) -> None:
    card = stack.ended()
    assert len(stack.cards()) == 1
    assert len(stack.files(card)) == 1
    assert stack.outcomes() == [Outcome.OK]
    assert "full_size" not in card.controls
    assert any(block["type"] == "image" for block in card.blocks)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", CALLS)
def test_one_bad_answer_of_slack_is_one_delivery_all_the_same(looking: Stack, method: str, kind: FaultKind):
    looking.slack.faults.plan(method, kind)
    looking.imagine("a red fox")

    check_delivered_once(looking)


@pytest.mark.parametrize("method", ["chat.update", "files.completeUploadExternal"])
def test_a_call_whose_connection_broke_and_that_still_happens_later_is_one_delivery(
    make_looking: MakeStack, method: str
):
    looking = make_looking(times=dataclasses.replace(TIMES, audit_after=2.0))
    looking.slack.faults.late(method, seconds=0.4)
    looking.imagine("a red fox")
    looking.until(lambda: looking.bot.jobs()[0].audited_at)

    check_delivered_once(looking)


def test_a_card_that_appears_after_its_connection_broke_is_found(looking: Stack):
    looking.slack.faults.late("chat.postMessage", seconds=0.2)
    looking.imagine("a red fox")

    check_delivered_once(looking)


def test_without_the_history_scope_a_card_in_doubt_is_posted_once_more_and_the_picture_once(stack: Stack):
    stack.slack.faults.drop_after("chat.postMessage")
    stack.imagine("a red fox")
    stack.ended(number=1)

    assert [len(stack.files(card)) for card in stack.cards()] == [0, 1]
    assert stack.outcomes() == [Outcome.OK]


def test_slack_waits_as_long_as_it_asks_for(stack: Stack):
    stack.slack.faults.rate_limit("files.completeUploadExternal", retry_after=1)
    card = stack.draw("a red fox")

    limited, shared = stack.slack.traffic.all("files.completeUploadExternal")
    assert shared.at - limited.at >= 1
    assert len(stack.files(card)) == 1


def test_a_picture_that_takes_two_seconds_to_become_ready_is_shown_in_the_card(make_stack):
    stack = make_stack(times=dataclasses.replace(TIMES, confirm_patience=10.0))
    stack.bot.open()
    stack.slack.faults.readiness_seconds = 2
    stack.imagine("a red fox")

    check_delivered_once(stack)


def test_a_share_that_slack_drops_in_silence_is_made_again(stack: Stack):
    stack.slack.faults.dropped_shares = 1
    stack.imagine("a red fox")

    check_delivered_once(stack)


def test_an_upload_that_slack_refuses_for_good_is_told_on_the_card(stack: Stack):
    stack.slack.faults.refuse("files.completeUploadExternal", "file_upload_size_restricted", times=9)
    card = stack.draw("a red fox")

    assert "did not take the upload" in card.words
    assert set(card.controls) == {"retry"}
    assert stack.outcomes() == [Outcome.CANNOT_DELIVER]
    assert stack.bot.gpu_time_used() == 0


def test_a_token_that_is_refused_at_every_step_is_waited_for(looking: Stack):
    for method in set(CALLS) - {"upload"}:
        looking.slack.faults.refuse(method, "token_revoked")
    looking.imagine("a red fox")

    check_delivered_once(looking)
    assert looking.told() == [WAITS_FOR_SLACK]
    assert len(looking.engine.asked) == 1


def test_somebody_deletes_the_card_while_it_is_drawn(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox")
    card = stack.until(lambda: next((c for c in stack.cards() if stack.engine.asked), None))
    workspace = stack.slack.platform.workspace
    message = workspace.find(card.channel, card.ts)
    assert message is not None
    workspace.delete(message)
    stack.engine.release()

    stack.until(lambda: stack.bot.jobs()[0].done_at)
    assert stack.outcomes()[0] is not None
    assert not any(map(has_ended, stack.cards()))
