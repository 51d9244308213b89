"""Channels the bot is not in: the requester is told, and no GPU time is spent."""

import pytest

from bot.domain.job import Outcome
from bot.domain.messages import OUTCOMES
from tests.scenarios.stack import Stack


@pytest.mark.parametrize("channel", ["random", "studio"])
def test_where_the_bot_is_no_member_the_requester_is_told_and_nothing_is_drawn(stack: Stack, channel: str):
    stack.imagine("a red fox", channel=channel)
    stack.until(lambda: all(job.done_at for job in stack.bot.jobs()))

    assert stack.told() == [OUTCOMES[Outcome.CANNOT_POST]]
    assert stack.cards(channel) == []
    assert stack.engine.asked == []
    assert stack.outcomes() == [Outcome.CANNOT_POST]
    assert stack.bot.gpu_time_used() == 0


def test_others_in_the_channel_are_not_told(stack: Stack):
    stack.imagine("a red fox", channel="random")
    stack.until(lambda: all(job.done_at for job in stack.bot.jobs()))

    assert stack.told("robin") == []


def test_two_people_are_served_in_turn_whoever_asked_for_more(make_stack):
    stack = make_stack(settings={"IMAGINE_WINDOW": "1"})
    stack.bot.open()
    stack.engine.hold()
    stack.imagine("heavy 0", channel="general")
    stack.until(lambda: stack.engine.asked)
    for number in range(1, 5):
        stack.imagine(f"heavy {number}", channel="general")
    stack.imagine("light", user="robin")
    stack.card()
    stack.engine.release()

    stack.ended()
    assert [request.prompt for request in stack.engine.asked].index("light") <= 2
    stack.until(lambda: stack.outcomes() == [Outcome.OK] * 5)


def test_a_waiting_card_says_how_many_are_ahead(make_stack):
    stack = make_stack(settings={"IMAGINE_WINDOW": "1"})
    stack.bot.open()
    stack.engine.hold()
    stack.imagine("a red fox")
    stack.until(lambda: stack.engine.asked)
    stack.imagine("a blue fox")
    stack.until(lambda: "It is next." in stack.card(number=1).words)
    stack.imagine("a green fox")

    assert "1 job is ahead of it." in stack.card(number=2).words
    stack.engine.release()
    stack.until(lambda: stack.outcomes() == [Outcome.OK] * 3)
