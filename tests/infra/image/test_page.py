"""Every command of docs/infra.md, run in its order by somebody with docker, an account and nothing else."""

import shlex
from pathlib import Path

import pytest

from infra import cli
from tests.infra.endpoint.test_page import commands
from tests.infra.image.conftest import Machine
from tests.infra.image.repository import lay_out
from tests.infra.plain_account import PlainAccount
from tests.infra.quota.service_quotas import ServiceQuotas

SAYS = {
    "imagine doctor --next": (1, "imagine secrets set slack-bot-token --stage dev"),
    "imagine image push us-east-1": (0, "imagine-diffusers@sha256:"),
    "imagine image build": (0, "localhost/imagine-diffusers:"),
    "imagine image smoke": (0, "draws"),
    "imagine quota": (1, '"ml.g6.xlarge for endpoint usage" is 0, 2 needed'),
    "imagine quota request": (0, "asked, request"),
    "imagine doctor": (1, "next: imagine "),
    "imagine slack manifest": (0, '"socket_mode_enabled": true'),
    "imagine slack manifest --url https://bot.example/slack/events": (0, "https://bot.example/slack/events"),
    "imagine iam deployer-policy --stage dev": (0, '"Version": "2012-10-17"'),
}
"""Exit status, and what is printed."""

ONLY_NAMED = {"imagine image"}


@pytest.fixture
def account() -> PlainAccount:
    kinds = ("ml.g6.xlarge", "ml.g5.xlarge", "ml.g4dn.xlarge")
    nothing = {f"{kind} for endpoint usage": 0.0 for kind in kinds}
    quotas = ServiceQuotas(applied=nothing, defaults={"ml.g5.xlarge for spot training job usage": 0.0})
    return PlainAccount(answers={"service-quotas": quotas})


def test_every_command_of_the_page_does_what_it_says(
    machine: Machine,
    account: PlainAccount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    machine.install("docker")
    account.deploy()
    root = lay_out(tmp_path / "repository")
    monkeypatch.chdir(tmp_path)
    lines = [line for line in commands("docs/infra.md") if line not in ONLY_NAMED]
    assert set(lines) == SAYS.keys()

    for line in lines:
        words = shlex.split(line)[1:]
        words += ["--root", str(root)] if words[0] == "image" else []
        words += ["--yes"] if line == "imagine quota request" else []
        status, said = SAYS[line]
        assert (cli.main(words), line) == (status, line), capsys.readouterr().err
        assert said in capsys.readouterr().out, line
