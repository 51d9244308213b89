"""The functions' packages of the version before, which run on while a deploy replaces them."""

import io
import subprocess
import tempfile
import zipfile
from pathlib import Path

from infra import function_zip
from infra.docs import ROOT
from infra.rehearsal.rows import NotHere


def commit_before(root: Path = ROOT) -> str:
    """The last commit before the one that changed `bot/` last. Raises NotHere in a clone without history."""
    told = _git(root, "log", "-2", "--format=%H", "--", "bot").decode().split()
    if len(told) < 2:
        raise NotHere("this clone has no earlier version of bot/ (git fetch --unshallow)")
    return told[1]


def package_of(commit: str, group: str, *, python: Path, root: Path = ROOT) -> bytes:
    """A zip of `build/` with `bot/` as it was then, compiled by the functions' Python."""
    packed = io.BytesIO((root / "build" / f"{group}.zip").read_bytes())
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as made:
        folder = Path(name)
        with zipfile.ZipFile(io.BytesIO(_git(root, "archive", "--format=zip", commit, "bot"))) as then:
            then.extractall(folder)
        function_zip.compile_all(folder, python)
        _forget(made, "bot/")
        for path in folder.rglob("*"):
            if path.is_file():
                made.write(path, path.relative_to(folder).as_posix())
    return packed.getvalue()


def _forget(made: zipfile.ZipFile, prefix: str) -> None:
    """Take entries out of the zip's directory: packing all the others anew would take half a minute."""
    for name in [name for name in made.namelist() if name.startswith(prefix)]:
        made.filelist.remove(made.NameToInfo.pop(name))


def _git(root: Path, *words: str) -> bytes:
    """What git says; nothing where this is no clone."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, check=False).stdout
