"""Lambda's Python on this machine: byte code is good only for the version that wrote it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bot.domain.errors import BotError

RUNTIME = "3.13"
"""As `runtime` in serverless.yml says."""

ASK = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"


class NotTheRuntimesPython(BotError):
    """The sentence names what was found and the fix."""


def runtime_python(named: Path | None = None) -> Path:
    """The interpreter that runs what Lambda runs: `named`, or the first one that is found.

    Raises NotTheRuntimesPython where that is another version, or there is none.
    """
    if named is not None:
        return _checked(named)
    for candidate in _candidates():
        if _version_of(candidate) == f"cpython {RUNTIME}":
            return candidate
    raise NotTheRuntimesPython(
        f"the functions run on Python {RUNTIME} and are compiled by it, and there is none here. Install it "
        f"(for one: pyenv install {RUNTIME}), or say where it is with --python"
    )


def _checked(named: Path) -> Path:
    found = _version_of(named)
    if found != f"cpython {RUNTIME}":
        raise NotTheRuntimesPython(
            f"{named} is {found or 'no Python'}; the functions run on cpython {RUNTIME}, and byte code of "
            f"another one would be passed over there. Give --python the path of a python{RUNTIME}"
        )
    return named


def _candidates() -> Iterator[Path]:
    """The one that runs us, the one on the PATH (it may be a shim that refuses), those that pyenv keeps."""
    yield Path(sys.executable)
    if on_path := shutil.which(f"python{RUNTIME}"):
        yield Path(on_path)
    versions = Path.home() / ".pyenv" / "versions"
    yield from sorted(versions.glob(f"{RUNTIME}*/bin/python{RUNTIME}"), reverse=True)


def _version_of(python: Path) -> str:
    """Such as `cpython 3.13`; empty for what does not run."""
    try:
        told = subprocess.run([python, "-I", "-c", ASK], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""
