"""`imagine deploy`: what is asked for first, and the line that osls gets. A stand-in takes osls's place."""

import io
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.config import CLOUD_SETTINGS, SETTINGS
from bot.domain.instance_prices import LookedUp
from infra import cli
from infra.commands import deploy
from infra.commands.endpoint import shared
from infra.docs import ROOT
from infra.endpoint.price_list import write_prices
from infra.operating.stack_settings import CHOICES, NOT_KEPT, OPTIONS, StackSettings, deployable, parameters
from tests.infra.plain_account import PlainAccount

OSLS = """#!/bin/sh
printf '%s\\n' "$@" > "$RECORD"
echo "team $SLACK_TEAM_ID telemetry $SLS_TELEMETRY_DISABLED" >> "$RECORD"
echo "admins $IMAGINE_ADMINS month $IMAGINE_MONTH_GPU_SECONDS" >> "$RECORD"
echo "loopback $IMAGINE_CALLBACK_LOOPBACK" >> "$RECORD"
exit "${STATUS:-0}"
"""

DEPLOYED = """{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {
  "HttpApiUrl": {"Value": "https://x.execute-api.us-east-1.amazonaws.com"},
  "AlarmTopic": {"Value": {"Ref": "Topic"}}}}"""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> PlainAccount:
    """One in which what osls deploys is there, for osls is a stand-in here."""
    account = PlainAccount()
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    for stage in ("dev", "prod"):
        account["cloudformation"].create_stack(StackName=f"imagine-{stage}", TemplateBody=DEPLOYED)
    return account


@pytest.fixture
def checkout(tmp_path: Path, account: PlainAccount, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the pinned tool; packing the functions is another test's matter."""
    tool = tmp_path / "node_modules" / ".bin" / "osls"
    tool.parent.mkdir(parents=True)
    tool.write_text(OSLS)
    tool.chmod(0o755)
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    monkeypatch.setattr(deploy, "fetch", refused)  # Slack
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deploy.function_zip, "main", lambda _words: 0)
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    for name in (*NOT_KEPT, *deployable()):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(url: str, _headers: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
    raise OSError(url)


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
    assert capsys.readouterr().out.splitlines()[-1].startswith("next: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--suffix", "acme"), "add --team"),
        (("--team", "T0123456789"), "add --suffix"),
        (("--team", "T0123456789", "--suffix", "Acme!"), "small letters"),
        (("--team", "nobody", "--suffix", "acme"), "add --team"),
        (("--team", "T0123456789", "--suffix", "acme", "--alarm-email", "me"), "no e-mail address"),
        (("--team", "T0123456789", "--suffix", "acme", "--param", "alarms"), "write name=value"),
        (("--team", "T0123456789", "--suffix", "acme", "--param", "alarm=many"), "it has alarmKey, alarms"),
        (("--team", "T0123456789", "--suffix", "acme", "--param", "alarms=all"), "it is few or many"),
        (("--team", "T0123456789", "--suffix", "acme", "--param", "suffix=other"), "say --suffix instead"),
        (("--team", "T0123456789", "--suffix", "acme", "--param", "alarmEmail=me"), "say --alarm-email"),
        (("--team", "T0123456789", "--suffix", "acme", "--file", "nowhere.toml"), "no file nowhere.toml"),
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


def written(checkout: Path) -> list[str]:
    return (checkout / "record").read_text().splitlines()


def test_it_says_the_price_first_and_at_the_end_the_address_and_the_next_command(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    assert imagine("--suffix", "acme", "--team", "T0123456789") == 0

    told = capsys.readouterr().out.splitlines()
    assert re.search(
        r"costs about \$\d\.\d\d a month \(us-east-1 prices of 20\d\d-\d\d, our table; ", told[0]
    )
    assert "Slack's address: https://x.execute-api.us-east-1.amazonaws.com/slack/events" in told
    assert told[-1].startswith("next: ")
    assert "slack-bot-token" in told[-1], "as imagine doctor --next"


def test_the_price_is_of_the_list_that_was_looked_up_here(checkout: Path, capsys: pytest.CaptureFixture[str]):
    write_prices(LookedUp(region="eu-west-1", day="2027-01-15", hourly={}, rates={"alarm": 0.2}))

    assert imagine("--suffix", "acme", "--team", "T0123456789", "--region", "eu-west-1") == 0
    price = capsys.readouterr().out.splitlines()[0]
    assert "eu-west-1 prices of 2027-01-15, AWS's price list; " in price
    assert "our table; eu-west-1 may differ by a quarter" in price


def test_a_region_that_bills_in_yuan_has_no_price_in_dollars(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    assert imagine("--suffix", "acme", "--team", "T0123456789", "--region", "cn-north-1") == 0
    price = capsys.readouterr().out.splitlines()[0]
    assert "an unknown amount a month (cn-north-1 bills in yuan" in price
    assert "$" not in price


def test_the_second_time_nothing_needs_to_be_said_again(checkout: Path, capsys: pytest.CaptureFixture[str]):
    imagine(
        *("--suffix", "acme", "--team", "T0123456789", "--alarm-email", "ops@example.com"),
        *("--param", "alarms=many", "--param", "rolePath=/team/"),
    )
    first = written(checkout)

    assert imagine("--json") == 0
    assert written(checkout) == first
    assert "alarmEmail=ops@example.com" in first
    assert "alarms=many" in first
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["outcome"], told["api_url"][-3:]) == ("deployed", "/v1")


def test_settings_of_the_environment_are_remembered_until_they_are_given_anew(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("IMAGINE_ADMINS", "U1,U2")
    monkeypatch.setenv("IMAGINE_MONTH_GPU_SECONDS", "36000")
    monkeypatch.setenv("IMAGINE_CALLBACK_LOOPBACK", "on")
    imagine("--suffix", "acme", "--team", "T0123456789")
    for name in ("IMAGINE_ADMINS", "IMAGINE_MONTH_GPU_SECONDS", "IMAGINE_CALLBACK_LOOPBACK"):
        monkeypatch.delenv(name)
    capsys.readouterr()

    assert imagine() == 0
    assert written(checkout)[-2:] == ["admins U1,U2 month 36000", "loopback "]
    assert "IMAGINE_ADMINS=U1,U2, IMAGINE_MONTH_GPU_SECONDS=36000" in capsys.readouterr().out
    monkeypatch.setenv("IMAGINE_ADMINS", "")
    assert imagine() == 0
    assert written(checkout)[-2] == "admins  month 36000"


def test_a_setting_that_no_function_would_start_with_is_not_deployed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("IMAGINE_MONTH_GPU_SECONDS", "ten hours")

    assert imagine("--suffix", "acme", "--team", "T0123456789") == 1
    assert "IMAGINE_MONTH_GPU_SECONDS" in capsys.readouterr().err
    assert not (checkout / "record").exists()


def test_every_setting_that_the_functions_read_reaches_them():
    """docs/settings.md names those that mean nothing there."""
    written = {*(ROOT / "serverless.yml").read_text().split()}
    here = {"IMAGINE_HOME", "IMAGINE_HTTP_PORT", "IMAGINE_API_PORT", "IMAGINE_ENDPOINT_URL", "IMAGINE_WINDOW"}
    at_slack = {"SLACK_API_URL", "SLACK_APP_TOKEN"}
    secret = {setting.name for setting in SETTINGS if setting.secret}
    read = {setting.name for setting in (*SETTINGS, *CLOUD_SETTINGS)}

    missing = {name for name in read - here - at_slack - secret if f"{name}:" not in written}
    assert missing == {"IMAGINE_BLOCKED_PHRASES"}, "a file, which would have to travel too"


def test_it_goes_where_every_other_command_looks(checkout: Path, account: PlainAccount):
    account.region = "eu-central-1"

    imagine("--suffix", "acme", "--team", "T0123456789")
    assert written(checkout)[3:5] == ["--region", "eu-central-1"]


def test_another_suffix_would_leave_the_pictures_behind(checkout: Path, capsys: pytest.CaptureFixture[str]):
    imagine("--suffix", "acme", "--team", "T0123456789")
    (checkout / "record").unlink()

    assert imagine("--suffix", "other") == 1
    assert "leave --suffix out" in capsys.readouterr().err
    assert not (checkout / "record").exists()


def test_a_channel_hears_of_alarms_by_its_own_address_once(checkout: Path, account: PlainAccount):
    for _ in range(2):
        imagine("--suffix", "acme", "--team", "T0123456789", "--ops-channel", "ops-x@acme.slack.com")

    (subscription,) = account["sns"].list_subscriptions()["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops-x@acme.slack.com")


def test_on_a_terminal_it_asks(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))

    assert imagine("--suffix", "acme", "--team", "T0123456789") == 1
    assert "nothing was done" in capsys.readouterr().err
    assert not (checkout / "record").exists()
    assert imagine("--suffix", "acme", "--team", "T0123456789", "--yes") == 0


ROLES = """
[role]
path = "/acme/"
permissions_boundary = "arn:aws:iam::123456789012:policy/limits"
"""
TAGS = """
[tags]
"cost centre" = "4711"
"""


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_path_boundary_and_tags_of_the_endpoint_are_those_of_the_stack(checkout: Path, stage: str):
    (checkout / "endpoint.toml").write_text(ROLES + TAGS)

    assert imagine("--suffix", "acme", "--team", "T0123456789", "--stage", stage) == 0
    given = {word for word in written(checkout) if "=" in word}
    assert given == {
        "suffix=acme",
        "rolePath=/acme/",
        "permissionsBoundary=arn:aws:iam::123456789012:policy/limits",
        f"tags=build/tags-{stage}.json",
    }
    tags = json.loads((checkout / "build" / f"tags-{stage}.json").read_text())
    assert tags == {"service": "imagine", "stage": stage, "cost centre": "4711"}


def test_what_the_file_does_not_say_any_more_is_not_remembered(checkout: Path):
    (checkout / "endpoint.toml").write_text(ROLES + TAGS)
    imagine("--suffix", "acme", "--team", "T0123456789")
    (checkout / "endpoint.toml").unlink()

    assert imagine() == 0
    assert [word for word in written(checkout) if "=" in word] == ["suffix=acme"]


def test_a_parameter_that_was_given_goes_before_the_file(checkout: Path):
    (checkout / "endpoint.toml").write_text(ROLES)

    imagine("--suffix", "acme", "--team", "T0123456789", "--param", "rolePath=/other/")
    assert "rolePath=/other/" in written(checkout)
    assert "rolePath=/acme/" not in written(checkout)


def test_a_mistake_in_the_file_is_named_before_anything_is_sent(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    (checkout / "roles.toml").write_text('[role]\npath = "acme"')

    assert imagine("--suffix", "acme", "--team", "T0123456789", "--file", "roles.toml") == 1
    assert "endpoint.toml, role.path: must begin with /" in capsys.readouterr().err
    assert not (checkout / "record").exists()


def test_a_dry_run_writes_no_file(checkout: Path, capsys: pytest.CaptureFixture[str]):
    (checkout / "endpoint.toml").write_text(TAGS)

    assert imagine("--suffix", "acme", "--team", "T0123456789", "--dry-run") == 0
    assert "tags=build/tags-dev.json" in capsys.readouterr().out
    assert not (checkout / "build").exists()


def test_every_parameter_that_the_command_gives_is_one_of_serverless_yml():
    settings = StackSettings(stage="dev", role_path="/acme/", boundary="arn:", tags={"team": "4711"})

    assert {*OPTIONS, *CHOICES, *settings.params} <= parameters()
