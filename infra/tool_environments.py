"""Programs that tests, benchmarks and the rehearsal run, each in an environment of its own: their pins would
collide.

    python = environment("microburst")

The hashed list is `requirements/<name>.txt`; an environment is made once and kept in `build/` until its list
changes.
"""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.docs import ROOT


def environment(name: str, *, python: Path | str = sys.executable) -> Path:
    """The folder of the environment's programs, `python` among them. Raises CalledProcessError."""
    requirements = ROOT / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    home = ROOT / "build" / f"{name}-{digest}"
    programs = home / "bin"
    with _turn(home):
        if not (home / "complete").exists():
            _run(python, "-m", "venv", "--clear", home)
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            _run(programs / "python", *install, "--require-hashes", "-r", requirements)
            (home / "complete").touch()
    return programs


@contextmanager
def _turn(home: Path) -> Iterator[None]:
    """Of processes that run side by side one makes it, and the others wait."""
    home.parent.mkdir(exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: Path | str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=500)
