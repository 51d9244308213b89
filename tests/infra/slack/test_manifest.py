"""`imagine slack manifest`: what is pasted at Slack, checked against Slack's schema."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from infra import cli
from infra.manifest_check import ManifestError, check_manifest
from infra.slack_manifest import manifest

URL = "https://example.execute-api.us-east-1.amazonaws.com/slack/events"


def test_socket_mode_is_what_docs_show(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["slack", "manifest", "--socket-mode"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"]["socket_mode_enabled"]
    assert shown == json.loads(Path(__file__).parents[3].joinpath("docs/slack-app.json").read_text())


def test_an_address_is_where_slack_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "app.json"
    assert cli.main(["slack", "manifest", "--url", URL, "-o", str(file)]) == 0
    written = json.loads(file.read_text())
    assert written["settings"]["interactivity"]["request_url"] == URL
    assert written["features"]["slash_commands"][0]["url"] == URL
    assert str(file) in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://example.com/slack/events", "example.com", "https://", f"{URL}?a=1"])
def test_an_address_that_slack_would_not_call_is_refused(url: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["slack", "manifest", "--url", url]) == 1
    assert "must be an https address" in capsys.readouterr().err


def test_both_ways_at_once_is_bad_usage():
    with pytest.raises(SystemExit) as ended:
        cli.main(["slack", "manifest", "--url", URL, "--socket-mode"])
    assert ended.value.code == 2


WRONG: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "name is missing": (("display_information",), {}),
    "must have 1 to 35 characters": (("display_information", "name"), "x" * 36),
    "must have 1 to 140 characters": (("display_information", "description"), "x" * 141),
    "cannot be 'imagine'": (("features", "slash_commands", 0, "command"), "imagine"),
    "must be a list of at most 50": (("features", "slash_commands"), [{}] * 51),
    "must be true or false": (("settings", "socket_mode_enabled"), "yes"),
    "settings.colour is not known": (("settings", "colour"), "red"),
    "request_url is missing": (("settings", "interactivity"), {"is_enabled": True}),
    "cannot be 'http://x'": (("features", "slash_commands", 0, "url"), "http://x"),
    "must be a whole number": (("_metadata", "major_version"), "1"),
    "must be an object": (("oauth_config",), []),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_slack_would_refuse_is_named(words: str):
    path, value = WRONG[words]
    made = copy.deepcopy(manifest(URL))
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    with pytest.raises(ManifestError, match=words):
        check_manifest(made)
