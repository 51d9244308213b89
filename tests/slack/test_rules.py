"""Rules on their own: the clock, the block check on anything at all, the manifest, the command line."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.slack.__main__ import main
from infra.local.slack.blockcheck import BLOCKS, ELEMENTS, check_blocks
from infra.local.slack.clock import ManualClock
from infra.slack_manifest import manifest
from tests.slack import loopback

KEYS = st.sampled_from(
    ["type", "text", "elements", "accessory", "options", "block_id", "action_id", "slack_file"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([*BLOCKS, *ELEMENTS])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_the_block_check_has_an_answer_to_anything(value: Any) -> None:
    problems = check_blocks(value, file_is_usable=lambda _shown: True)

    assert all("[json-pointer:/blocks" in problem for problem in problems)


@given(st.text(min_size=1, max_size=3200))
def test_a_section_is_refused_exactly_above_its_limit(text: str) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]

    assert bool(check_blocks(blocks, file_is_usable=lambda _shown: True)) == (len(text) > 3000)


def test_a_manual_clock_wakes_whoever_is_due_and_nobody_else() -> None:
    async def sleepers() -> list[str]:
        clock, woken = ManualClock(start=100), []

        async def sleep(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(name)

        tasks = [asyncio.ensure_future(sleep(*who)) for who in (("five", 5), ("one", 1), ("none", 0))]
        await asyncio.sleep(0)
        clock.advance(2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (clock.now(), clock.sleepers) == (102, 1)
        tasks[0].cancel()
        return woken

    assert asyncio.run(sleepers()) == ["none", "one"]


def test_the_manifest_uses_socket_mode_without_an_address() -> None:
    by_socket, by_http = manifest(), manifest("https://bot.example/slack/events")

    assert by_socket["settings"]["socket_mode_enabled"] is True
    assert "url" not in by_socket["features"]["slash_commands"][0]
    assert by_http["settings"]["socket_mode_enabled"] is False
    assert by_http["features"]["slash_commands"][0]["url"] == "https://bot.example/slack/events"
    assert by_http["settings"]["interactivity"]["request_url"] == "https://bot.example/slack/events"


@pytest.mark.parametrize("url", [None, "https://bot.example/"])
def test_the_manifest_keeps_slacks_limits(url: str | None) -> None:
    app = manifest(url)
    (command,) = app["features"]["slash_commands"]

    assert len(app["display_information"]["name"]) <= 35
    assert len(app["display_information"]["description"]) <= 140
    assert command["command"].startswith("/")
    assert 2 <= len(command["command"]) <= 32
    assert app["oauth_config"]["scopes"]["bot"] == ["commands", "chat:write", "files:write", "files:read"]


def test_a_taken_port_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert main(["--port", str(port)]) == 2

    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot read the manifest"), ("{", "is no JSON manifest"), ("[]", "is no app manifest")],
)
def test_an_unusable_manifest_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, complaint: str
) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)

    assert main(["--port", "0", "--manifest", str(path)]) == 2

    assert complaint in capsys.readouterr().err


def test_it_runs_by_itself_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "infra.local.slack", "--port", "0", "--file-delay", "0.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        page = process.stdout.readline().split()[1]
        state = answering(f"{page}page/state")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert state["team"]["name"] == "Local workspace"
    assert f"{page}api/" in rest
    assert rest.endswith("ended\n")
    assert process.returncode == 0


def answering(address: str) -> Any:
    """The first answer of a server that is just starting: its socket listens before it serves."""
    return loopback.get(address, timeout=20).json()
