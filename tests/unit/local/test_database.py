"""The SQLite file under the job rows: schema versions, other processes, and being killed at any moment."""

import random
import select
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.domain.errors import ConfigError, Unavailable
from bot.local import database as database_module
from bot.local.database import MIGRATIONS, Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.ports import Index
from tests.contracts.rows import NOW, TENANT, USER, a_job, a_person

ROOT = Path(__file__).parents[3]

WRITER = """
import itertools, sys
from bot.local.database import Database
from bot.local.sqlite_jobs import SqliteJobs
from bot.ports import CounterChange
from tests.contracts.rows import NOW, TENANT, USER, a_job, a_person, after

jobs = SqliteJobs(Database(sys.argv[1]))
for number in itertools.count(int(sys.argv[2])):
    version = jobs.person(TENANT, USER).version
    row = a_job(f"{number:026d}")
    jobs.create([row], person=a_person(version + 1, held=(version + 1) * 1000), now=NOW)
    print("created", row.id, flush=True)
    jobs.transition(after(row, announced_ref="1"), counters=[CounterChange(key="announced", delta=1)])
    print("announced", row.id, flush=True)
"""


def acked_by_a_writer_killed_after(seconds: float, *, path: Path, first: int) -> list[tuple[str, str]]:
    """Every (what, job id) the child had acked before SIGKILL."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    with child, child.stdout as acks:
        assert select.select([acks], [], [], 30)[0], "the writer wrote nothing"
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        lines = acks.read().splitlines(keepends=True)
    assert child.returncode == -signal.SIGKILL
    return [(line.split()[0], line.split()[1]) for line in lines if line.endswith("\n")]


def test_a_writer_killed_at_any_moment_leaves_every_acked_write_and_no_half_ones(tmp_path: Path):
    path, moments, acked = tmp_path / "jobs.db", random.Random(8), []
    for round_number in range(5):
        acked += acked_by_a_writer_killed_after(
            moments.uniform(0.001, 0.15), path=path, first=round_number * 100_000
        )
    assert acked
    database = Database(path)
    jobs = SqliteJobs(database)
    with database.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = jobs.query(Index.PERSON, partition=f"{TENANT}/{USER}", limit=100_000).jobs
    announced = {row.id for row in rows if row.announced_ref}
    assert {job_id for what, job_id in acked if what == "created"} <= {row.id for row in rows}
    assert {job_id for what, job_id in acked if what == "announced"} <= announced
    assert jobs.counter("announced") == len(announced)
    assert jobs.person(TENANT, USER) == a_person(len(rows), held=len(rows) * 1000)
    database.close()


def test_rows_are_there_after_a_restart(tmp_path: Path):
    first = Database(tmp_path / "jobs.db")
    SqliteJobs(first).create([a_job()], person=a_person(), now=NOW)
    SqliteCells(first).write("lease", {"owner": "boot-1"}, expected=0)
    first.close()
    second = Database(tmp_path / "jobs.db")
    assert SqliteJobs(second).get(a_job().id) == a_job()
    cell = SqliteCells(second).read("lease")
    assert cell is not None
    assert cell.value == {"owner": "boot-1"}
    second.close()


def test_a_file_of_an_older_version_is_lifted_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    old = Database(tmp_path / "jobs.db")
    SqliteJobs(old).create([a_job()], person=a_person(), now=NOW)
    old.close()
    newer = (*MIGRATIONS, "CREATE TABLE extras (name TEXT); INSERT INTO extras VALUES ('kept')")
    monkeypatch.setattr(database_module, "MIGRATIONS", newer)
    for _ in range(2):
        lifted = Database(tmp_path / "jobs.db")
        with lifted.reading() as connection:
            assert connection.execute("SELECT name FROM extras").fetchall() == [("kept",)]
        assert SqliteJobs(lifted).get(a_job().id) == a_job()
        lifted.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Database(tmp_path / "jobs.db").close()
    monkeypatch.setattr(
        database_module, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extras (name TEXT); nonsense")
    )
    with pytest.raises(Unavailable):
        Database(tmp_path / "jobs.db")
    monkeypatch.setattr(database_module, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extras (name TEXT)"))
    lifted = Database(tmp_path / "jobs.db")
    with lifted.reading() as connection:
        assert connection.execute("SELECT name FROM extras").fetchall() == []
    lifted.close()


def test_a_file_of_a_newer_version_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Database(tmp_path / "jobs.db").close()
    monkeypatch.setattr(database_module, "MIGRATIONS", ())
    with pytest.raises(ConfigError, match="schema 1"):
        Database(tmp_path / "jobs.db")


def test_a_file_that_another_process_keeps_locked_is_unavailable_and_unchanged(tmp_path: Path):
    database = Database(tmp_path / "jobs.db", patience=0.0)
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        SqliteJobs(database).create([a_job()], person=a_person(), now=NOW)
    assert SqliteJobs(database).get(a_job().id) is None
    other.execute("ROLLBACK")
    SqliteJobs(database).create([a_job()], person=a_person(), now=NOW)
    assert SqliteJobs(database).get(a_job().id) == a_job()
    other.close()
    database.close()


def test_an_error_inside_a_transaction_takes_all_of_it_back(tmp_path: Path):
    database = Database(tmp_path / "jobs.db")

    def write_half() -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO counters VALUES ('month', 1)")
            raise KeyError("month")

    with pytest.raises(KeyError):
        write_half()
    assert SqliteJobs(database).counter("month") == 0
    database.close()
