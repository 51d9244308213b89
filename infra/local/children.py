"""Child processes that start together and end together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from container.webui.launch import LEASH

STOP_PATIENCE = 8.0
TAIL_LINES = 15


class ChildFailed(Exception):
    """A child ended, or did not get ready in time; the text says which and ends with its last lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to start one child. `ready_url` answers 200 once it can work; `environment` adds to ours."""

    name: str
    command: Sequence[str]
    ready_url: str
    log: Path
    environment: Mapping[str, str]


class Child:
    """One running process, which ends with ours however ours ends."""

    def __init__(self, recipe: Recipe, *, environment: Mapping[str, str]) -> None:
        self.recipe = recipe
        recipe.log.parent.mkdir(parents=True, exist_ok=True)
        with recipe.log.open("ab") as log:
            # Its own group: Ctrl-C reaches us first, and we end the children in order.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), *recipe.command],
                stdin=subprocess.PIPE,  # closes when we are gone, killed or not: the leash waits for that
                stdout=log,
                stderr=log,
                env={**environment, **recipe.environment},
                start_new_session=True,
            )

    def wait_ready(self, *, patience: float) -> None:
        """Raises ChildFailed when it ends or stays silent for `patience` seconds."""
        deadline = time.monotonic() + patience
        while not answers(self.recipe.ready_url):
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailed(
                    f"the {self.recipe.name} was not ready within {patience:.0f} s\n{self.tail()}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raises ChildFailed when the process ended by itself."""
        status = self._process.poll()
        if status is not None:
            raise ChildFailed(f"the {self.recipe.name} ended with status {status}\n{self.tail()}")

    def tail(self) -> str:
        """The last lines it wrote."""
        lines = self.recipe.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])

    def stop(self) -> None:
        """End it and everything it started, gently first."""
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, ending)
            try:
                self._process.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                continue
            break
        assert self._process.stdin is not None
        self._process.stdin.close()


def answers(url: str) -> bool:
    """True when the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310  loopback addresses of our own
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """True when something already listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
