"""`imagine smoke`: what is said and refused before anything is tried, and a run against the local Slack."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from infra import cli
from infra.commands import smoke
from infra.commands.endpoint import shared
from infra.endpoint.place import Place
from infra.live_checks.aws_checks import AWS_CHECKS
from infra.local.slack.testing import LocalSlack
from tests.infra.live_checks.conftest import Deployed, InRegion
from tests.infra.plain_account import PlainAccount


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> PlainAccount:
    account = PlainAccount()
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    return account


@pytest.mark.parametrize("what", ["aws", "slack"])
def test_the_list_says_what_would_be_tried_and_what_cannot_be(what: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["smoke", what, "--list"]) == 0
    for_people = capsys.readouterr().out
    assert cli.main(["smoke", what, "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert "not checked:" in for_people
    assert all(check["id"] in for_people and check["source"] for check in told["checks"])
    assert all(reason for reason in told["unchecked"].values())


def test_everything_fits_the_usual_cost(capsys: pytest.CaptureFixture[str]):
    cli.main(["smoke", "aws", "--list", "--json"])

    dollars = [check["dollars"] for check in json.loads(capsys.readouterr().out)["checks"]]
    assert len(dollars) == len(AWS_CHECKS)
    assert sum(dollars) < 2.5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "nothing"), "there is no check nothing"),
        (("--only", "queue-outlives-update", "--max-cost", "0.1", "--yes"), "--max-cost is 0.1"),
        (("--only", "create-once"), "say --yes"),
    ],
)
def test_what_nobody_agreed_to_is_not_begun(
    deployed: Deployed,
    words: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    deployed.deploy_stack()
    monkeypatch.setattr(shared, "AwsClients", lambda region: InRegion(deployed.account))

    assert cli.main(["smoke", "aws", *words]) == 1
    assert told in capsys.readouterr().err


def test_only_an_address_of_the_web_is_asked(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["smoke", "aws", "--yes", "--url", "file:///etc/hosts"])

    assert "is no address such as https://draw.example.com" in capsys.readouterr().err


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
def test_links_are_tried_as_the_bot_makes_them(region: str, monkeypatch: pytest.MonkeyPatch):
    """boto3 alone would sign those of us-east-1 in the old way, which is not what the bot hands out."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    place = Place(
        stage="dev", account="123456789012", region=region, partition="aws", bucket="b", error_topic=""
    )

    link = smoke.links_of(place).link("in/smoke/1", seconds=20)

    told = parse_qs(urlsplit(link).query)
    assert (told["X-Amz-Algorithm"], told["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["20"])
    assert region in told["X-Amz-Credential"][0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--channel C0123456789"),
        (("--channel", "C1"), "imagine secrets set slack-bot-token"),
    ],
)
def test_what_slack_s_checks_need_is_said(
    account: PlainAccount, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["smoke", "slack", *words]) == 1
    assert told in capsys.readouterr().err


def test_a_run_against_a_workspace_with_the_stage_s_token(
    account: PlainAccount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    with LocalSlack() as slack:
        account["ssm"].put_parameter(
            Name="/imagine/dev/slack-bot-token", Value=slack.bot_token, Type="SecureString"
        )
        monkeypatch.setenv("SLACK_API_URL", slack.api_url)
        channel = slack.platform.workspace.channel_named("pictures").id
        options = ("--channel", channel, "--only", "reply-as-thread", "--only", "metadata-size")

        assert cli.main(["smoke", "slack", *options, "--yes", "-o", str(tmp_path)]) == 0
        assert slack.messages("pictures") == []

    shown = capsys.readouterr().out
    assert "measured    reply-as-thread        a reply's ts: cannot_reply_to_message" in shown
    assert slack.bot_token not in shown + (tmp_path / "smoke-slack.md").read_text()
    assert len(json.loads((tmp_path / "smoke-slack.json").read_text())["findings"]) == 2
