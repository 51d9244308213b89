"""`imagine secrets`: values come in hidden, are stored where the functions look, and never come out."""

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.aws.secrets import Reference, Secrets
from bot.aws.tokens import StoredSigningSecrets
from bot.local.journal import ListJournal
from bot.local.system import SystemClock
from infra import cli
from infra.operating.secret_store import names
from tests.infra.plain_account import PlainAccount

ROOT = Path(__file__).parents[3]
TOKEN = "xoxb-0000-planted-canary"
FIRST, SECOND = "0123456789abcdef" * 2, "fedcba9876543210" * 2
Pipe = Callable[[str], None]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """What comes in through a pipe."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def parameter(account: PlainAccount, name: str) -> str:
    told = account["ssm"].get_parameter(Name=f"/imagine/dev/{name}", WithDecryption=True)
    assert told["Parameter"]["Type"] == "SecureString"
    return str(told["Parameter"]["Value"])


def put(pipe: Pipe, name: str, value: str, *words: str) -> int:
    pipe(f"{value}\n")
    return cli.main(["secrets", "set", name, *words])


def test_a_piped_token_is_stored_where_the_functions_look(
    account: PlainAccount, pipe: Pipe, capsys: pytest.CaptureFixture[str]
):
    assert put(pipe, "slack-bot-token", TOKEN) == 0

    assert parameter(account, "slack-bot-token") == TOKEN
    told = capsys.readouterr()
    assert told.out.startswith("made: ssm:/imagine/dev/slack-bot-token")
    assert "planted" not in told.out + told.err


def test_a_typed_one_is_read_hidden(account: PlainAccount, monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("not read"))
    monkeypatch.setattr("getpass.getpass", lambda _prompt: TOKEN)

    assert cli.main(["secrets", "set", "slack-bot-token"]) == 0
    assert parameter(account, "slack-bot-token") == TOKEN


@pytest.mark.parametrize(
    ("words", "value", "told"),
    [
        (("slack-bot-token",), "xoxp-0000-planted-canary", "begins with xoxb-"),
        (("slack-bot-token",), "", "begins with xoxb-"),
        (("slack-signing-secret",), "planted", "32 of the characters"),
        (("slack-secret",), TOKEN, "slack-bot-token, slack-signing-secret"),
        (("slack-bot-token", TOKEN), "", "stays in the shell's history"),
        (("slack-bot-token", "--stage", "Prod"), TOKEN, "no stage name"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(
    account: PlainAccount, pipe: Pipe, words: tuple[str, ...], value: str, told: str
):
    status, said = told_of(lambda: put(pipe, words[0], value, *words[1:]))

    assert status == 1
    assert told in said
    assert "planted" not in said
    assert account.calls == []


def test_a_missing_name_is_all_that_is_asked_for(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["secrets", "set"])
    assert capsys.readouterr().err.endswith("the following arguments are required: NAME\n")


def told_of(run: Callable[[], int]) -> tuple[int, str]:
    """The exit status, and everything that was printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return run(), said.getvalue()


def test_a_rotation_keeps_the_former_signing_secret_open(
    account: PlainAccount, pipe: Pipe, capsys: pytest.CaptureFixture[str]
):
    put(pipe, "slack-signing-secret", FIRST)
    put(pipe, "slack-signing-secret", SECOND)
    put(pipe, "slack-signing-secret", SECOND)

    assert "accepted for a day" in capsys.readouterr().out
    assert opening(account) == (SECOND, FIRST)


def opening(account: PlainAccount) -> tuple[str, ...]:
    """The signing secrets that the deployed function takes."""
    current = Reference.parse("ssm:/imagine/dev/slack-signing-secret", setting="S")
    journal, clock = ListJournal(), SystemClock()
    secrets = Secrets(
        account.cloud.clients, needed=[current], optional=[current.previous], clock=clock, journal=journal
    )
    return tuple(StoredSigningSecrets(secrets, current=current, clock=clock).current())


def test_secrets_manager_keeps_versions_by_itself(
    account: PlainAccount, pipe: Pipe, capsys: pytest.CaptureFixture[str]
):
    outcomes = []
    for value in (FIRST, SECOND, SECOND):
        put(pipe, "slack-signing-secret", value, "--store", "secretsmanager", "--json")
        outcomes.append(json.loads(capsys.readouterr().out)["outcome"])

    manager = account["secretsmanager"]
    former = manager.get_secret_value(SecretId="imagine/dev/slack-signing-secret", VersionStage="AWSPREVIOUS")
    assert outcomes == ["made", "replaced", "unchanged"]
    assert former["SecretString"] == FIRST


@pytest.mark.parametrize("store", ["ssm", "secretsmanager"])
def test_the_list_has_names_and_dates(
    account: PlainAccount, pipe: Pipe, store: str, capsys: pytest.CaptureFixture[str]
):
    put(pipe, "slack-bot-token", TOKEN, "--store", store)
    capsys.readouterr()

    assert cli.main(["secrets", "list", "--store", store]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d  \S+imagine/dev/slack-bot-token\n", listed)
    assert re.search(r"-                 \S+imagine/dev/slack-signing-secret\n", listed)
    assert "planted" not in listed

    cli.main(["secrets", "list", "--json", "--store", store])
    assert {told["changed_at"] is None for told in json.loads(capsys.readouterr().out)} == {True, False}


def test_every_secret_that_a_template_names_can_be_stored():
    text = (ROOT / "serverless.yml").read_text() + (ROOT / "infra/serverless/roles.yml").read_text()
    named = set(re.findall(r"\$\{param:secrets\}/([a-z-]+)", text))

    assert {name.removesuffix("-old") for name in named} <= set(names())
