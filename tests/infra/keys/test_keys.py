"""`imagine keys create|list|revoke`, as typed, on one machine and on a deployed stage."""

import json

import pytest

from bot.aws.dynamo_cells import DynamoCells
from bot.aws.table import table_properties
from bot.http_api.keys import CELL, Keys
from bot.local.database import Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.system import SecretIds, SystemClock
from infra import cli
from infra.commands.endpoint import shared
from tests.infra.plain_account import PlainAccount


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def typed(capsys, *words):
    """The exit status, and what was printed and told."""
    status = cli.main(["keys", *map(str, words)])
    told = capsys.readouterr()
    return status, told.out, told.err


def opens(home, token):
    database = Database(home / "jobs.sqlite")
    try:
        return Keys(SqliteCells(database), clock=SystemClock(), max_age=0.0).verify(token) is not None
    finally:
        database.close()


def created(capsys, home, *more):
    status, out, _ = typed(capsys, "create", "--name", "laptop", "--home", home, "--json", *more)
    assert status == 0
    return json.loads(out)


def test_a_key_is_shown_once_and_opens(capsys, home):
    status, out, _ = typed(capsys, "create", "--name", "laptop", "--home", home)
    token = next(line.split()[1] for line in out.splitlines() if line.startswith("key "))

    assert status == 0
    assert opens(home, token)
    assert "whsec_" in out
    _, listed, _ = typed(capsys, "list", "--home", home)
    assert "laptop" in listed
    assert token.rpartition("_")[2] not in listed
    assert "whsec_" not in listed


def test_a_revoked_key_opens_nothing_and_is_listed_as_such(capsys, home):
    made = created(capsys, home)
    status, out, _ = typed(capsys, "revoke", made["id"], "--home", home)

    assert (status, out.splitlines()[0]) == (0, f"revoked: {made['id']}; it opens nothing within 60 s")
    assert not opens(home, made["key"])
    (row,) = json.loads(typed(capsys, "list", "--home", home, "--json")[1])
    assert row["revoked_at"] is not None
    assert set(row) == {"id", "name", "created_at", "revoked_at", "daily_gpu_seconds"}


def test_a_key_may_have_drawing_time_of_its_own(capsys, home):
    assert created(capsys, home, "--daily-gpu-seconds", "60")["daily_gpu_seconds"] == 60


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "--name", "x" * 61), "a name has 1 to 60 printable characters"),
        (("create", "--name", " "), "a name has 1 to 60 printable characters"),
        (("create", "--name", "a\nb"), "a name has 1 to 60 printable characters"),
        (("create", "--name", "x", "--daily-gpu-seconds", "0"), "--daily-gpu-seconds is 1 or more"),
        (("revoke", "nobody"), "There is no API key nobody"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(capsys, home, words, sentence):
    created(capsys, home)
    before = typed(capsys, "list", "--home", home)

    status, out, err = typed(capsys, *words, "--home", home)

    assert (status, out) == (1, "")
    assert sentence in err
    assert typed(capsys, "list", "--home", home) == before


@pytest.mark.parametrize("words", [("list",), ("revoke", "x")])
def test_a_folder_that_no_bot_knows_is_told_and_not_made(capsys, home, words):
    status, _, err = typed(capsys, *words, "--home", home)

    assert status == 1
    assert "no bot has worked in" in err
    assert not home.exists()


def test_a_home_that_can_be_none_is_told(capsys, tmp_path):
    (tmp_path / "file").touch()

    status, _, err = typed(capsys, "create", "--name", "x", "--home", tmp_path / "file")
    assert status == 1
    assert "is no folder that can be written" in err


@pytest.fixture
def account(monkeypatch):
    account = PlainAccount()
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    return account


def test_on_a_deployed_stage_the_keys_lie_in_its_table(capsys, account):
    account["dynamodb"].create_table(TableName="imagine-dev", **table_properties())
    made = json.loads(typed(capsys, "create", "--name", "laptop", "--json")[1])
    typed(capsys, "revoke", made["id"])

    cells = DynamoCells(account.cloud.clients, table="imagine-dev", ids=SecretIds())
    assert cells.read(CELL).value[made["id"]]["revoked_at"] is not None


@pytest.mark.parametrize("words", [("list",), ("create", "--name", "x"), ("revoke", "x")])
def test_a_stage_that_is_not_deployed_is_told(capsys, account, words):
    status, _, err = typed(capsys, *words, "--stage", "prod")

    assert status == 1
    assert "stage prod is not deployed here; run imagine deploy --stage prod first" in err
