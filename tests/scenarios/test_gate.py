"""Requests that are not Slack's, or not whole, start nothing; Slack's own are answered in time."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from infra.local.slack.clock import WallClock
from infra.local.slack.delivery import sign
from tests.scenarios.stack import YOU, Stack

FORM = "application/x-www-form-urlencoded"


def command(text: str = "a red fox", *, trigger: str = "1.2.abc") -> bytes:
    """A slash command's body."""
    fields = {
        "command": "/imagine",
        "text": text,
        "team_id": "T0000000001",
        "user_id": YOU,
        "channel_id": "C0000000001",
        "trigger_id": trigger,
    }
    return urlencode(fields).encode()


def send(stack: Stack, body: bytes, *, secret: str | None = None, age: float = 0, kind: str = FORM):
    """Post a signed body; the signature is right unless `secret` or `age` make it wrong."""
    signed = sign(secret or stack.slack.signing_secret, body, timestamp=int(time.time() - age))
    return post(stack, body, {"Content-Type": kind, **signed})


def post(stack: Stack, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{stack.bot.url}/slack/events", content=body, headers=headers, trust_env=False)


def check_nothing_started(stack: Stack) -> None:
    assert stack.bot.jobs() == []
    assert stack.cards() == []
    assert "fox" not in stack.bot.log


def test_a_wrong_signature_is_401(stack: Stack):
    assert send(stack, command(), secret="somebody else's").status_code == 401
    check_nothing_started(stack)


def test_no_signature_at_all_is_401(stack: Stack):
    assert post(stack, command(), {"Content-Type": FORM}).status_code == 401
    check_nothing_started(stack)


@pytest.mark.parametrize("age", [600, -600])
def test_a_timestamp_far_from_now_is_401(stack: Stack, age: int):
    assert send(stack, command(), age=age).status_code == 401
    check_nothing_started(stack)


def test_a_body_changed_on_the_way_is_401(stack: Stack):
    signed = sign(stack.slack.signing_secret, command("a fox"), timestamp=int(time.time()))

    assert post(stack, command("a wolf"), {"Content-Type": FORM, **signed}).status_code == 401
    check_nothing_started(stack)


def test_more_than_a_megabyte_is_413(stack: Stack):
    assert send(stack, command("fox " * 300_000)).status_code == 413
    check_nothing_started(stack)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe\x00fox", FORM),
        (b"payload=%7Bfox", FORM),
        (b"payload=[1]", FORM),
        (b'{"type": "fox"', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"", FORM),
    ],
    ids=["no text", "half JSON", "no object", "half an event", "deep", "empty"],
)
def test_a_signed_body_that_makes_no_sense_is_400(stack: Stack, body: bytes, kind: str):
    assert send(stack, body, kind=kind).status_code == 400
    check_nothing_started(stack)


def test_the_same_request_twice_is_one_job(stack: Stack):
    first, second = (send(stack, command(trigger="7.7.same")) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    stack.ended()
    assert len(stack.bot.jobs()) == 1
    assert len(stack.cards()) == 1


def test_the_old_secret_opens_while_it_is_replaced(make_stack):
    stack = make_stack(settings={"SLACK_SIGNING_SECRET": "new", "SLACK_SIGNING_SECRET_OLD": "old"})
    stack.bot.open()

    assert send(stack, command(trigger="1.1.a"), secret="old").status_code == 200
    assert send(stack, command("a wolf", trigger="1.1.b"), secret="new").status_code == 200
    assert send(stack, command("a bear", trigger="1.1.c"), secret="older").status_code == 401
    assert len(stack.bot.jobs()) == 2


def test_a_request_from_another_page_is_refused(stack: Stack):
    signed = sign(stack.slack.signing_secret, command(), timestamp=int(time.time()))
    headers = {"Content-Type": FORM, "Origin": "https://evil.example", **signed}

    assert post(stack, command(), headers).status_code == 403
    check_nothing_started(stack)


def test_a_guest_from_another_workspace_is_told_that_the_app_is_not_for_them(stack: Stack):
    body = command().replace(b"T0000000001", b"T0000000009")

    answer = send(stack, body)
    assert answer.status_code == 200
    assert "own workspace only" in answer.text
    assert stack.bot.jobs() == []


class HeldClock(WallClock):
    """The wall clock, on which all sleep until `let_go`: Slack's slow answers, and its deadlines too."""

    def __init__(self) -> None:
        self._is_held = True

    def let_go(self) -> None:
        self._is_held = False

    async def sleep(self, seconds: float) -> None:
        while seconds > 0 and self._is_held:  # noqa: ASYNC110  it is let go by another thread
            await asyncio.sleep(0.01)


@pytest.fixture
def held() -> Iterator[HeldClock]:
    """Slack's clock; whatever still sleeps on it wakes before the bot ends."""
    clock = HeldClock()
    yield clock
    clock.let_go()


@pytest.fixture
def held_stack(make_stack, held: HeldClock) -> Stack:
    made: Stack = make_stack(clock=held)
    made.bot.open()
    return made


def test_the_ack_is_in_time_however_slow_slack_is_itself(held_stack: Stack, held: HeldClock):
    held_stack.slack.faults.slow("chat.postMessage", seconds=1.0, times=2)

    for line in ("a red fox", "a blue fox", "info"):
        held_stack.imagine(line)  # acknowledged, though no post has been answered yet
    held.let_go()
    held_stack.until(lambda: len(held_stack.cards()) == 2)


def test_a_full_size_picture_is_acked_in_time_and_comes_once_however_slow_its_upload_is(
    held_stack: Stack, held: HeldClock
):
    card = held_stack.draw("a red fox --n 2")
    held_stack.slack.faults.slow("files.completeUploadExternal", seconds=1.0)
    for _ in range(2):
        held_stack.press(card, "full_size")
    held.let_go()

    held_stack.until(lambda: len(held_stack.files(card)) == 2)
    assert "Picture 1 is" in held_stack.told()[-1]
