"""Memory of the whole demo at rest: every process it started, shared pages counted once."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.local.children import answers, free_port
from tests.benchmarks.figures import single

REST = 10.0


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "infra.cli", "demo", "--port", str(port), "--home", home]
        demo = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for(f"http://127.0.0.1:{port}/page/state")
            time.sleep(REST)
            sizes = {pid: _proportional(pid) for pid in _tree(demo.pid)}
        finally:
            demo.terminate()
            demo.wait()
    for pid, megabytes in sizes.items():
        single(f"  process {pid}", megabytes, unit="MB")
    single("idle demo", sum(sizes.values()), unit="MB", goal="goal <= 400 MB")


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while not answers(url):
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(0.2)


def _tree(root: int) -> list[int]:
    """The process and its descendants (Linux)."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        parents[int(status.parent.name)] = int(fields[1])
    tree = [root]
    for pid in tree:
        tree += [child for child, parent in parents.items() if parent == pid]
    return tree


def _proportional(pid: int) -> float:
    """Proportional set size in MB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kilobytes = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(kilobytes) / 1024
