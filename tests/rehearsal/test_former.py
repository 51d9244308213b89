"""The package of the version before: its own code, and the packages of this one."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.rehearsal.former import commit_before, package_of
from infra.rehearsal.rows import NotHere


def git(root, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(root, code):
    (root / "bot" / "handlers.py").write_text(code)
    git(root, "add", "bot")
    git(root, "commit", "-q", "-m", "a change")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "bot").mkdir()
    git(tmp_path, "init", "-q")
    return tmp_path


def packed(root, group, entries):
    (root / "build").mkdir()
    with zipfile.ZipFile(root / "build" / f"{group}.zip", "w") as made:
        for name, body in entries.items():
            made.writestr(name, body)


def test_the_version_before_is_the_one_before_the_last_change_of_the_bot(root):
    before = commit(root, "VERSION = 1")
    commit(root, "VERSION = 2")
    (root / "README.md").write_text("x")
    git(root, "add", "README.md")
    git(root, "commit", "-q", "-m", "no code")

    assert commit_before(root) == before


def test_it_has_the_old_code_once_and_everything_else_as_it_is(root):
    before = commit(root, "VERSION = 1")
    commit(root, "VERSION = 2")
    new = {"bot/handlers.py": "VERSION = 2", "bot/fresh.py": "", "botocore/client.py": "CLIENT = 1"}
    packed(root, "accept", new)

    package = package_of(before, "accept", python=Path(sys.executable), root=root)

    with zipfile.ZipFile(io.BytesIO(package)) as made:
        names = [name for name in made.namelist() if not name.endswith(".pyc")]
        assert sorted(names) == ["bot/handlers.py", "botocore/client.py"]
        assert made.read("bot/handlers.py") == b"VERSION = 1"
        assert made.testzip() is None
        assert len(made.namelist()) == len(names) + 1, "the byte code of its one module"


def test_a_clone_without_history_says_so(root):
    commit(root, "VERSION = 1")

    with pytest.raises(NotHere, match="unshallow"):
        commit_before(root)


def test_no_clone_at_all_says_so(tmp_path):
    with pytest.raises(NotHere):
        commit_before(tmp_path)
