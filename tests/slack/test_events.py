"""Events: which messages are told to the bot, and how often when it does not acknowledge."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier

from infra.local.slack.clock import ManualClock
from infra.local.slack.testing import LocalSlack, ThreadedBot
from tests.slack.bots import EVERY_SCOPE, RecordingBot, manifest_with

SUBSCRIBED = {
    "event_subscriptions": {
        "request_url": "http://bot.test/slack/events",
        "bot_events": ["message.channels", "app_mention"],
    }
}


@pytest.fixture
def listening(bot: RecordingBot) -> Iterator[LocalSlack]:
    app = manifest_with(*EVERY_SCOPE, **SUBSCRIBED)
    with LocalSlack(manifest=app, bot_transport=ThreadedBot(bot), clock=ManualClock()) as slack:
        yield slack


def events(bot: RecordingBot) -> list[dict[str, Any]]:
    return [json.loads(request.content) for request in bot.requests]


def settle(slack: LocalSlack, bot: RecordingBot, deliveries: int) -> None:
    """Wait until this many deliveries were made and logged."""
    slack.wait_for(lambda: len(slack.traffic.all("events_api")) >= deliveries)
    assert len(bot.requests) == deliveries


def test_a_message_is_told_as_signed_json(listening: LocalSlack, bot: RecordingBot) -> None:
    said = listening.say("hello")

    settle(listening, bot, 1)
    (told,) = events(bot)
    assert (told["type"], told["event"]["type"]) == ("event_callback", "message")
    assert (told["event"]["ts"], told["event"]["channel_type"], told["event"]["text"]) == (
        said.ts,
        "channel",
        "hello",
    )
    headers = dict(bot.requests[0].headers)
    signature = SignatureVerifier(listening.signing_secret).generate_signature(
        timestamp=headers["x-slack-request-timestamp"], body=bot.requests[0].content
    )
    assert headers["x-slack-signature"] == signature


def test_a_mention_is_told_as_both_events(listening: LocalSlack, bot: RecordingBot) -> None:
    listening.say("<@U0000000100> draw a fox")

    settle(listening, bot, 2)
    assert {told["event"]["type"] for told in events(bot)} == {"message", "app_mention"}


def test_nothing_is_told_from_where_the_bot_is_not(listening: LocalSlack, bot: RecordingBot) -> None:
    listening.say("hello", channel="random")
    listening.say("hello", channel="pictures")

    settle(listening, bot, 1)
    assert events(bot)[0]["event"]["channel"] == "C0000000001"


def test_nothing_is_told_without_a_subscription(slack: LocalSlack, bot: RecordingBot) -> None:
    slack.say("<@U0000000100> hello")
    slack.command("/imagine a fox")

    assert [request.headers["content-type"] for request in bot.requests] == [
        "application/x-www-form-urlencoded"
    ]


def test_a_failing_bot_is_told_three_times_more(listening: LocalSlack, bot: RecordingBot) -> None:
    bot.answers = [httpx.Response(500)] * 4

    listening.say("hello")
    settle(listening, bot, 2)  # the first repetition follows at once
    listening.advance(60)
    settle(listening, bot, 3)
    listening.advance(300)
    settle(listening, bot, 4)

    repeats = [
        (r.headers.get("x-slack-retry-num"), r.headers.get("x-slack-retry-reason")) for r in bot.requests
    ]
    assert repeats == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({told["event_id"] for told in events(bot)}) == 1


def test_a_repetition_that_succeeds_is_the_last(listening: LocalSlack, bot: RecordingBot) -> None:
    bot.answers = [httpx.Response(500), httpx.Response(200)]

    listening.say("hello")
    settle(listening, bot, 2)
    listening.advance(1000)

    assert len(bot.requests) == 2


def test_a_failing_bot_can_ask_not_to_be_told_again(listening: LocalSlack, bot: RecordingBot) -> None:
    bot.answers = [httpx.Response(500, headers={"X-Slack-No-Retry": "1"})]

    listening.say("hello")
    settle(listening, bot, 1)
    listening.advance(1000)

    assert len(bot.requests) == 1


def test_a_slow_bot_is_told_again_because_of_the_timeout(listening: LocalSlack, bot: RecordingBot) -> None:
    listening.faults.bot_seconds = 5

    def hear_twice() -> None:
        listening.say("hello")
        listening.wait_for(lambda: len(bot.requests) >= 2)

    listening.meanwhile(hear_twice, advance=3.1, sleepers=2)

    assert bot.requests[1].headers["x-slack-retry-reason"] == "http_timeout"


def test_a_duplicated_delivery_is_the_same_event_twice(listening: LocalSlack, bot: RecordingBot) -> None:
    listening.faults.duplicated_deliveries = 1

    listening.say("one")
    listening.say("two")

    settle(listening, bot, 3)
    assert sorted(told["event"]["text"] for told in events(bot)) == ["one", "one", "two"]
    assert len({told["event_id"] for told in events(bot)}) == 2
