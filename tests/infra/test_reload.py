"""`make demo RELOAD=1`: an edit of the bot restarts the bot, and only the bot."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from infra.local.children import free_port

ROOT = Path(__file__).parents[2]


def test_an_edit_restarts_the_bot_and_the_page_goes_on(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "infra.cli", "demo", "--port", str(port), "--reload"]
    command += ["--engine", "pattern", "--home", str(tmp_path / "demo")]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    try:
        _read_until(demo.stdout, "End   Ctrl-C")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as person:
            before = person.get("/page/state").json()
            os.utime(ROOT / "bot/__init__.py")
            _read_until(demo.stdout, "the bot's code changed")

            _send_until_taken(person, "/imagine a red fox")

            assert person.get("/page/state").json() == before, "the workspace is the same one"
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(90) == 0
        demo.stdout.close()


def _read_until(stream, words):
    for line in stream:
        if words in line:
            return
    raise AssertionError(f"the demo ended without saying {words!r}")


def _send_until_taken(person, text):
    deadline = time.monotonic() + 90
    while not person.post("/page/send", json={"channel": "C0000000001", "text": text}).json()["ok"]:
        assert time.monotonic() < deadline, "the restarted bot never answered"
        time.sleep(0.2)
