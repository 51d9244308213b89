"""Slack's tiers, counted on a clock that stands still."""

from collections.abc import Iterator

import httpx
import pytest

from infra.local.slack.clock import ManualClock
from infra.local.slack.rate_limits import RateLimits, Tier
from infra.local.slack.testing import LocalSlack
from tests.slack import loopback
from tests.slack.bots import EVERY_SCOPE, manifest_with


@pytest.fixture
def limited() -> Iterator[LocalSlack]:
    app = manifest_with(*EVERY_SCOPE)
    with LocalSlack(manifest=app, clock=ManualClock(), enforce_rate_limits=True) as slack:
        yield slack


def call(slack: LocalSlack, method: str, **args: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    return loopback.post(f"{slack.api_url}{method}", json=args, headers=headers)


def test_posting_bursts_and_then_goes_at_one_a_second(limited: LocalSlack) -> None:
    def post() -> int:
        return call(limited, "chat.postMessage", channel="C0000000001", text="x").status_code

    burst = [post() for _ in range(6)]
    limited.advance(1)
    afterwards = [post(), post()]

    assert burst == [200] * 5 + [429]
    assert afterwards == [200, 429]


def test_another_channel_has_its_own_budget(limited: LocalSlack) -> None:
    for _ in range(5):
        call(limited, "chat.postMessage", channel="C0000000001", text="x")

    assert call(limited, "chat.postMessage", channel="C0000000002", text="x").status_code == 200


def test_a_limited_call_says_how_long_to_wait_and_has_no_effect(limited: LocalSlack) -> None:
    for _ in range(5):
        call(limited, "chat.postMessage", channel="C0000000001", text="x")

    answer = call(limited, "chat.postMessage", channel="C0000000001", text="x")

    assert (answer.json()["error"], answer.headers["retry-after"]) == ("ratelimited", "1")
    assert len(limited.messages()) == 5


def test_updates_share_fifty_a_minute_over_the_whole_workspace() -> None:
    clock = ManualClock()
    limits = RateLimits(clock=clock, enforced=True)

    waits = [limits.seconds_to_wait("chat.update", Tier.THREE, f"C{n}") for n in range(51)]
    clock.advance(60)

    assert waits == [0] * 50 + [2]
    assert limits.seconds_to_wait("chat.update", Tier.THREE, "C1") == 0


def test_nothing_is_limited_while_switched_off() -> None:
    limits = RateLimits(clock=ManualClock(), enforced=False)

    assert {limits.seconds_to_wait("apps.connections.open", Tier.ONE, "") for _ in range(500)} == {0}
