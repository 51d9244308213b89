"""A machine with one container engine, a small repository and an account."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import cli
from infra.commands.endpoint import shared
from tests.contracts.inference_stub import InferenceStub
from tests.infra.image.repository import PNG, lay_out
from tests.infra.plain_account import PlainAccount

Imagine = Callable[..., int]


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built here, so the disk of whoever runs the tests need not hold an image."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=100 * 10**9))


@dataclass(kw_only=True)
class Machine:
    """Programs of PATH and what they were told."""

    folder: Path

    def install(self, *names: str) -> None:
        for name in names:
            script = self.folder / name
            fake = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_engine.py"))])
            script.write_text(f'#!/bin/sh\nFAKE_NAME={name} exec {fake} "$@"\n')
            script.chmod(0o755)

    @property
    def told(self) -> list[dict[str, Any]]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def verbs(self) -> list[str]:
        return [next(w for w in call["words"] if not w.startswith("-")) for call in self.told]


@pytest.fixture
def container(container: InferenceStub) -> InferenceStub:
    """The server inside the image."""
    container.answer = lambda _body: (200, json.dumps({"images": [PNG]}).encode())
    return container


@pytest.fixture
def account() -> PlainAccount:
    return PlainAccount()


@pytest.fixture
def machine(
    tmp_path: Path, account: PlainAccount, container: InferenceStub, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("FAKE_LOG", str(programs / "log"))
    monkeypatch.setenv("FAKE_PORT", container.url.rpartition(":")[2])
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    with account.cloud.gateway() as url:
        monkeypatch.setenv("FAKE_AWS_URL", url)
        yield Machine(folder=programs)


@pytest.fixture
def imagine(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Imagine:
    """Runs `imagine image …` over a repository of a few files."""
    root = lay_out(tmp_path / "repository")
    monkeypatch.chdir(tmp_path)
    return lambda *words: cli.main(["image", *words, "--root", str(root)])
