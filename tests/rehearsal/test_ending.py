"""However a rehearsal ends, everything that it started ends with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.docs import ROOT

PATIENCE = 100.0


def started(tmp_path, *options):
    """A rehearsal whose children all have the folder in their environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.rehearsal", "--logs", str(tmp_path / "logs"), *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(tmp_path):
    """Processes that have the folder in their environment."""
    return [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and _has(pid, f"TMPDIR={tmp_path}")]


def _has(pid, entry):
    try:
        return entry.encode() in (pid / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def until(look):
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, "not within the patience"
        time.sleep(0.05)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_leaves_no_process_and_no_state(tmp_path, ending):
    rehearsal = started(tmp_path)
    until(lambda: (tmp_path / "logs" / "sagemaker.log").exists() and len(children(tmp_path)) >= 3)
    rehearsal.send_signal(ending)
    told, _ = rehearsal.communicate(timeout=PATIENCE)

    assert (rehearsal.returncode, children(tmp_path)) == (130, [])
    assert "interrupted" in told
    assert [path.name for path in tmp_path.iterdir() if path.name != "ministack-tls"] == ["logs"]


def test_one_whose_emulator_does_not_start_says_so_and_leaves_nothing(tmp_path):
    rehearsal = started(tmp_path, "--python", sys.executable)
    told, _ = rehearsal.communicate(timeout=PATIENCE)

    assert (rehearsal.returncode, children(tmp_path)) == (1, [])
    assert "the AWS emulator ended" in told
    assert "No module named ministack" in told
