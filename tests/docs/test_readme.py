"""Every command and every line in README does what README says.

Each command of a ```sh block has an entry in EXERCISED; a new command without one fails. `make test` has no
exercise of its own, because it is what is running.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from bot.domain.prompt import Draw, Parsed, classify, parse
from bot.domain.prompt.catalogue import Catalogue
from bot.domain.request import Caps, Defaults
from infra.local.children import free_port
from infra.local.slack.testing import LocalSlack
from infra.slack_manifest import manifest
from tests.docs.markdown import ROOT, Page

README = Page.at(ROOT / "README.md")
PATIENCE = 240.0


def make_demo(folder: Path, command: str) -> None:
    """Started by the line that make runs, with a folder of its own and the engine that needs no model."""
    port = free_port()
    recipe = subprocess.run(
        ["make", "--dry-run", f"PORT={port}", *shlex.split(command)[1:]],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    line = [*_here(recipe.stdout.splitlines()[-1]), "--engine", "pattern", "--home", str(folder / "demo")]
    with _running(line, folder) as demo:
        assert _read_until(demo, "End   Ctrl-C")
        assert "text/html" in _get(f"http://127.0.0.1:{port}/").headers["Content-Type"]
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE) == 0
    with pytest.raises(urllib.error.URLError):
        _get(f"http://127.0.0.1:{port}/")


def draw(folder: Path, command: str) -> None:
    ended = _run([*_here(command), "--engine", "pattern"], folder)

    assert ended.returncode == 0, ended.stderr
    pictures = sorted((folder / "out").glob("*.png"))
    (account,) = (folder / "out").glob("*.json")
    told = json.loads(account.read_text(encoding="utf-8"))
    assert [picture["file"] for picture in told["pictures"]] == [picture.name for picture in pictures]
    assert [picture["seed"] for picture in told["pictures"]] == [7, 8]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def config_show(folder: Path, command: str) -> None:
    ended = _run(_here(command), folder, SLACK_BOT_TOKEN="xoxb-not-to-be-shown")

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^SLACK_BOT_TOKEN +set +environment", ended.stdout, re.MULTILINE)
    assert "not-to-be-shown" not in ended.stdout + ended.stderr


def inference_server(folder: Path, command: str) -> None:
    port = free_port()
    line = [*_here(command.replace("8080", str(port))), "--engine", "pattern"]
    with _running(line, folder) as server:
        assert _read_until(server, f"127.0.0.1:{port}")
        assert _eventually(lambda: _get(f"http://127.0.0.1:{port}/ping").status == 200)


def own_models(folder: Path, command: str) -> None:
    """A checkpoint of one's own, drawn by the diffusers engine: here the demo model's file, as any other."""
    checkpoints = folder / "models" / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    (checkpoints / "mine.safetensors").symlink_to(ROOT / "container" / "embedded" / "model.safetensors")
    port = free_port()
    with _running(_here(command.replace("8081", str(port))), folder) as server:
        assert _read_until(server, "engine diffusers")
        assert _eventually(lambda: _get(f"http://127.0.0.1:{port}/ping").status == 200)
        assert json.load(_get(f"http://127.0.0.1:{port}/ping"))["model"] == "mine.safetensors"


def endpoint_cost(folder: Path, command: str) -> None:
    ended = _run(_here(command), folder)

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"\$ +\d\.\d\d  in all", ended.stdout)


def serve(folder: Path, command: str) -> None:
    """With the local Slack in Slack's place."""
    with LocalSlack(manifest=manifest()) as slack:
        settings = {
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
        }
        with _running(_here(command), folder, **settings) as bot:
            assert _read_until(bot, "the bot is ready")
            assert slack.command("/imagine info").ok
            bot.send_signal(signal.SIGINT)
            assert bot.wait(PATIENCE) == 0


EXERCISED: dict[str, Callable[[Path, str], None]] = {
    "make demo": make_demo,
    '.venv/bin/imagine draw "a red apple --ar 16:9 --n 2 --seed 7" -o out/': draw,
    ".venv/bin/imagine config show": config_show,
    ".venv/bin/python -m container serve --port 8080": inference_server,
    ".venv/bin/python -m container serve --models models --port 8081": own_models,
    ".venv/bin/imagine serve": serve,
    ".venv/bin/imagine endpoint cost": endpoint_cost,
}
RUNNING_NOW = {"make test"}


def test_every_command_in_readme_is_exercised():
    assert set(README.lines_of("sh")) == EXERCISED.keys() | RUNNING_NOW


@pytest.mark.parametrize("command", EXERCISED)
def test_the_command_does_what_readme_says(command, tmp_path):
    EXERCISED[command](tmp_path, command)


@pytest.mark.parametrize("line", [line for line in README.lines_of("text") if line.startswith("/imagine ")])
def test_every_example_line_can_be_drawn(line):
    command = classify(line.removeprefix("/imagine "))

    assert isinstance(command, Draw)
    assert isinstance(parse(command.text, defaults=Defaults(), caps=Caps(), catalogue=Catalogue()), Parsed)


def test_every_command_line_in_the_table_is_one_the_bot_knows():
    lines = re.findall(r"^\| `/imagine ([a-z]+[^`]*)`", README.text, re.MULTILINE)

    assert len(lines) >= 6
    read = [classify(line.replace("<job>", "k3j2h4g5")) for line in lines]
    assert [line for line, command in zip(lines, read, strict=True) if isinstance(command, Draw)] == []


def _here(command: str) -> list[str]:
    """The command as this environment has it: its Python, and the console script's module."""
    program, *rest = shlex.split(command)
    return [sys.executable, *(["-m", "infra.cli"] if Path(program).name == "imagine" else []), *rest]


def _environment(**settings: str) -> dict[str, str]:
    shell = dict(os.environ)
    return {**shell, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}


def _run(line: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line,
        cwd=folder,
        env=_environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def _running(line: list[str], folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        line,
        cwd=folder,
        env=_environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Gently first: it has children of its own to end."""
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def _read_until(process: subprocess.Popen[str], words: str) -> bool:
    """Read on until a line holds the words; else fail with what it said before it ended, or was ended."""
    impatient = Timer(PATIENCE, process.terminate)
    impatient.start()
    seen = ""
    for line in process.stdout or ():
        seen += line
        if words in line:
            impatient.cancel()
            return True
    impatient.cancel()
    pytest.fail(f"it ended without saying {words!r}:\n{seen}")


def _get(url: str):
    return urllib.request.urlopen(url, timeout=PATIENCE)


def _eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if holds():
                return True
        except urllib.error.URLError:
            pass
        time.sleep(0.05)
    return False
