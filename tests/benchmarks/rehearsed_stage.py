"""The rehearsal's stage for a benchmark: deployed from nothing, drawing at once, every call to AWS seen."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.docs import ROOT
from infra.rehearsal.calls import name_of
from infra.rehearsal.gateway import Served
from infra.rehearsal.rights import roles_of
from infra.rehearsal.rows import Rows
from infra.rehearsal.set_up import PYTHON, standing_stage
from infra.rehearsal.stage import Stage
from infra.rehearsal.story import opening
from tests.benchmarks.stub_server import AT_ONCE

LOGS = ROOT / "build" / "rehearsal-bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One call to AWS: whose (an access key), such as `sqs SendMessage`, and what it sent."""

    key: str
    name: str
    seconds: float
    sent: str


@dataclass(slots=True)
class Seeing:
    """Every call so far; safe for any number of threads."""

    _calls: list[Seen] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, served: Served) -> None:
        seen = Seen(
            key=served.signer.key,
            name=name_of(served.request, served.signer),
            seconds=served.seconds,
            sent=f"{served.request.path} {served.request.body[:20_000].decode('utf-8', 'replace')}",
        )
        with self._turn:
            self._calls.append(seen)

    def mark(self) -> int:
        """The number of calls until now."""
        with self._turn:
            return len(self._calls)

    def since(self, mark: int, *, keys: dict[str, str]) -> list[Seen]:
        """What whoever has one of these keys called after the mark."""
        with self._turn:
            return [seen for seen in self._calls[mark:] if seen.key in keys]


def keys_of(stage: Stage) -> dict[str, str]:
    """The functions by the access key that each calls AWS with."""
    return {role.key: role.function for role in roles_of(stage.clients, stage.functions)}


@contextmanager
def opened(name: str, *, slack_limits: bool = False) -> Iterator[tuple[Stage, Seeing]]:
    """Deployed, configured, its endpoint up; `name` is the folder of its logs."""
    seeing = Seeing()
    with (
        _container() as container,
        standing_stage(
            PYTHON, logs=LOGS / name, slack_limits=slack_limits, container=container, watch=seeing
        ) as stage,
    ):
        opening.play(stage, Rows())
        yield stage, seeing


@contextmanager
def _container() -> Iterator[str]:
    """The real inference server around a picture that is there already."""
    command = [sys.executable, "-m", "tests.benchmarks.stub_server", AT_ONCE]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def processes_of(function: str) -> int:
    """How many processes of a function the emulator keeps, warm or at work."""
    folder = f"ministack-lambda-{function}-".encode()
    return sum(folder in command for command in _commands())


def _commands() -> Iterator[bytes]:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_bytes()
        except OSError:
            continue  # it has ended meanwhile
