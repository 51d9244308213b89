"""The training that docs/endpoint.md shows, run as it stands there."""

import shlex
from pathlib import Path

import pytest

from infra import cli
from infra.commands.endpoint import shared
from tests.infra.endpoint.account import IMAGE, Account
from tests.infra.endpoint.test_page import commands


def test_the_page_s_training_is_checked_and_priced(
    account: Account,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    pictures.rename(tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    monkeypatch.setenv("IMAGINE_MODELS", f"s3://{account.stand.bucket}/models")
    (line,) = [line for line in commands("docs/endpoint.md") if line.startswith("imagine train ")]

    words = shlex.split(line.replace("--base base", "--base emoji"))[1:]
    assert cli.main([*words, "--image", IMAGE, "--licence", "Apache-2.0"]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "2 pictures" in shown
    assert "imagine-dev-ink-" in shown
    assert "costs at most about $5.63 (us-east-1 prices of 2026-08, our table)" in shown
