"""What one picture costs in calls to AWS, from the typed line to the look back."""

import dataclasses
import json

import pytest

from bot.domain.job import Job
from tests.scenarios.conftest import MakeStack
from tests.scenarios.on_aws import Call, OnAws
from tests.scenarios.one_machine import TIMES
from tests.scenarios.stack import Stack

MOST_CALLS = 16
MOST_TO_ACCEPT = 2
CALM = dataclasses.replace(TIMES, settings_for=60.0, nudge_after=60.0, look_every=60.0, audit_after=0.0)


@pytest.fixture
def warm(make_stack: MakeStack) -> Stack:
    """A stack that has drawn before, in which nothing happens on a timer."""
    stack = make_stack(times=CALM, visibility=60)
    bot_of(stack).open_without_sweeps()
    stack.draw("a fox to warm up")
    stack.until(bot_of(stack).is_idle)
    return stack


def bot_of(stack: Stack) -> OnAws:
    assert isinstance(stack.bot, OnAws)
    return stack.bot


def settled(stack: Stack) -> Job:
    """The last job, as soon as its row says that it is done."""
    job = stack.until(lambda: stack.bot.jobs()[-1] if stack.bot.jobs()[-1].done_at else None)
    assert job is not None
    return job


def about(calls: list[Call], job: Job) -> list[Call]:
    """The calls that name the job; the rest is what a sweep does once for all jobs."""
    return [call for call in calls if job.id in json.dumps(call.arguments, default=str)]


@pytest.mark.only("aws")
def test_a_picture_takes_sixteen_calls_at_most(warm: Stack):
    calls = bot_of(warm).watch_calls()
    warm.draw("a red fox")
    job = settled(warm)
    drawn = list(calls)
    warm.bot.sweep()
    looked_back = about(calls[len(drawn) :], job)
    row = warm.bot.jobs()[-1]
    assert None not in (row.announce_intent_at, row.submitted_at, row.deliver_intent_at, row.audited_at)

    listed = [f"{call.service} {call.operation}" for call in (*drawn, *looked_back)]
    print("\n".join(f"{number:2} {name}" for number, name in enumerate(listed, 1)))
    assert len(listed) <= MOST_CALLS


@pytest.mark.only("aws")
def test_a_warm_accept_takes_one_transaction_and_a_nudge(warm: Stack):
    calls = bot_of(warm).watch_calls()
    warm.engine.hold()
    warm.imagine("a red fox")
    accepted = [call.operation for call in calls[:MOST_TO_ACCEPT]]
    assert accepted == ["TransactWriteItems", "SendMessage"]
    warm.until(lambda: len(calls) > MOST_TO_ACCEPT)
    assert calls[MOST_TO_ACCEPT].operation == "GetItem", "the worker has begun"
