"""What a peer puts off for seconds goes on after seconds, however long it is until the next sweep."""

import dataclasses

import pytest

from bot.domain.job import Outcome
from tests.scenarios.conftest import MakeStack
from tests.scenarios.on_aws import OnAws
from tests.scenarios.one_machine import TIMES
from tests.scenarios.stack import Stack

HOUR = 3600.0
UNSWEPT = dataclasses.replace(TIMES, sweep_every=HOUR, nudge_after=HOUR, look_every=HOUR, audit_after=HOUR)


@pytest.fixture
def unswept(make_stack: MakeStack) -> Stack:
    """A stack whose next sweep is an hour away."""
    stack = make_stack(times=UNSWEPT)
    stack.bot.open()
    return stack


@pytest.mark.parametrize("method", ["chat.postMessage", "files.completeUploadExternal"])
def test_slack_asks_for_a_pause(unswept: Stack, method: str):
    unswept.slack.faults.rate_limit(method, retry_after=1)
    card = unswept.draw("a red fox")

    assert len(unswept.files(card)) == 1
    assert unswept.outcomes() == [Outcome.OK]


@pytest.mark.only("aws")
def test_sagemaker_throttles_the_submission(unswept: Stack):
    assert isinstance(unswept.bot, OnAws)
    unswept.bot.endpoint_faults.change({"throttled": 1})
    card = unswept.draw("a red fox")

    assert unswept.bot.endpoint_faults.throttled == 0
    assert len(unswept.files(card)) == 1
