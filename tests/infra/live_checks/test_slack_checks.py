"""Every check of Slack against the local one: it finds what that does, and leaves no message and no file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.slack.web import FixedToken, SlackWeb
from infra.live_checks.check import Check, State
from infra.live_checks.runner import chosen, run_checks
from infra.live_checks.slack_checks import SLACK_CHECKS, UNCHECKED, SlackSite, png
from infra.local.slack.clock import ManualClock
from infra.local.slack.testing import LocalSlack, Shown

PAGE = Path(__file__).parents[3] / "docs" / "local-slack.md"
TOMBSTONE = "This message was deleted."
UNSURE = re.compile(r"\b(held|strict|guess|not covered|disagree|not public|not always)\b")
PASSED = {"missing-argument", "repeated-ids", "tombstone", "private-address"}


@contextmanager
def workspace() -> Iterator[tuple[LocalSlack, SlackSite]]:
    clock = ManualClock()
    with LocalSlack(clock=clock, enforce_rate_limits=True) as slack:
        web = SlackWeb(tokens=FixedToken(slack.bot_token), base_url=slack.api_url)
        channel = slack.platform.workspace.channel_named("pictures").id
        sign_in = (200, "text/html; charset=utf-8", b"<html>")
        site = SlackSite(
            web=web, channel=channel, fetch=lambda _url: sign_in, now=clock.now, pause=slack.advance
        )
        try:
            yield slack, site
        finally:
            web.close()


def left(slack: LocalSlack) -> list[Shown]:
    """A parent that was deleted leaves its tombstone."""
    return [message for message in slack.messages("pictures") if message.text != TOMBSTONE]


@pytest.mark.parametrize("check", SLACK_CHECKS, ids=lambda check: check.id)
def test_a_check_finds_what_the_local_slack_does_and_leaves_nothing(check: Check[SlackSite]):
    with workspace() as (slack, site):
        done = run_checks([check], site, hourly=0.0, told=lambda _finding: None)
        (finding,) = done.findings

        wanted = State.PASSED if check.id in PASSED else State.MEASURED
        assert (finding.verdict.state, finding.left) == (wanted, ()), finding.verdict.what
        assert left(slack) == []


def verdict_of(check: str) -> str:
    with workspace() as (_, site):
        (finding,) = run_checks(
            chosen(SLACK_CHECKS, [check]), site, hourly=0.0, told=lambda _finding: None
        ).findings
        return finding.verdict.what


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("reply-as-thread", "cannot_reply_to_message"),
        ("metadata-size", "metadata_too_large"),
        ("blocks-size", "msg_blocks_too_long"),
        ("share-twice", "2 messages show the file"),
        ("alt-text", "answered ok and never shared"),
        ("delete-file", "message_not_found"),
        ("post-burst", "posts at once, then wait"),
    ],
)
def test_what_is_measured_is_what_the_page_says(check: str, told: str):
    assert told in verdict_of(check)


def test_a_file_that_is_open_to_everybody_is_a_failure():
    with workspace() as (_, site):
        opened = SlackSite(
            web=site.web,
            channel=site.channel,
            fetch=lambda _url: (200, "image/png", png()),
            now=site.now,
            pause=site.pause,
        )
        done = run_checks(
            chosen(SLACK_CHECKS, ["private-address"]), opened, hourly=0.0, told=lambda _finding: None
        )

    assert done.findings[0].verdict.state is State.FAILED
    assert not done.is_good


def test_every_unsure_row_of_the_page_has_a_check_or_a_reason():
    named = [key for check in SLACK_CHECKS for key in check.settles] + list(UNCHECKED)
    rules = PAGE.read_text(encoding="utf-8").partition("## The rules")[2].partition("## Where it grows")[0]
    rows = [line.strip("| ") for line in rules.splitlines() if line.startswith("| ")]
    unsure = [row for row in rows if UNSURE.search(row.partition(" | ")[2])]

    assert len(unsure) > 10
    assert [row for row in unsure if not any(row.startswith(key) for key in named)] == []
    assert [key for key in named if not any(row.startswith(key) for row in rows)] == []
