"""`imagine deploy`: what is asked for first, and the line that osls gets. A stand-in takes osls's place."""

import json
import subprocess
from pathlib import Path

import pytest

from infra import cli
from infra.commands import deploy

OSLS = """#!/bin/sh
printf '%s\\n' "$@" > "$RECORD"
echo "team $SLACK_TEAM_ID telemetry $SLS_TELEMETRY_DISABLED" >> "$RECORD"
exit "${STATUS:-0}"
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the pinned tool; packing the functions is another test's matter."""
    tool = tmp_path / "node_modules" / ".bin" / "osls"
    tool.parent.mkdir(parents=True)
    tool.write_text(OSLS)
    tool.chmod(0o755)
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    monkeypatch.setattr(deploy.function_zip, "main", lambda _words: 0)
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.delenv("SLACK_TEAM_ID", raising=False)
    return tmp_path


def imagine(*words: str) -> int:
    return cli.main(["deploy", *words])


def test_it_deploys_the_stage_and_says_what_comes_next(checkout: Path, capsys: pytest.CaptureFixture[str]):
    assert imagine("--stage", "prod", "--suffix", "acme", "--team", "T0123456789") == 0

    assert (checkout / "record").read_text().split("\n")[:7] == [
        "deploy",
        "--stage",
        "prod",
        "--region",
        "us-east-1",
        "--param",
        "suffix=acme",
    ]
    assert "team T0123456789 telemetry 1" in (checkout / "record").read_text()
    assert "imagine endpoint apply --stage prod" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--suffix", "acme"), "add --team"),
        (("--team", "T0123456789"), "add --suffix"),
        (("--team", "T0123456789", "--suffix", "Acme!"), "small letters"),
        (("--team", "nobody", "--suffix", "acme"), "add --team"),
        (("--team", "T0123456789", "--suffix", "acme", "--stage", "Prod"), "no stage name"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_sent(
    checkout: Path, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
):
    assert imagine(*words) == 1
    assert told in capsys.readouterr().err
    assert not (checkout / "record").exists()


def test_without_the_tool_the_fix_is_said(checkout: Path, capsys: pytest.CaptureFixture[str]):
    (checkout / "node_modules" / ".bin" / "osls").unlink()

    assert imagine("--suffix", "acme", "--team", "T0123456789") == 1
    assert "npm ci" in capsys.readouterr().err


def test_a_dry_run_prints_the_line_alone(checkout: Path, capsys: pytest.CaptureFixture[str]):
    assert imagine("--suffix", "acme", "--team", "T0123456789", "--dry-run") == 0
    assert capsys.readouterr().out.endswith(
        "osls deploy --stage dev --region us-east-1 --param suffix=acme\n"
    )
    assert not (checkout / "record").exists()


def test_a_deployment_that_fails_is_a_failure(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("STATUS", "1")

    assert imagine("--suffix", "acme", "--team", "T0123456789") == 1
    assert "osls did not deploy" in capsys.readouterr().err


def test_packages_that_cannot_be_had_are_told_without_a_traceback(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def unreachable(_words: list[str]) -> int:
        raise subprocess.CalledProcessError(1, ["pip"])

    monkeypatch.setattr(deploy.function_zip, "main", unreachable)

    assert imagine("--suffix", "acme", "--team", "T0123456789") == 1
    assert "nothing was sent to AWS" in capsys.readouterr().err
    assert not (checkout / "record").exists()


def test_the_tool_is_the_pinned_one():
    pinned = json.loads((Path(__file__).parents[3] / "package.json").read_text())

    assert "osls" in pinned["devDependencies"]
