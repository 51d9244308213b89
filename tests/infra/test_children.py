"""Child processes start, are watched and end together with all they started."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.children import Child, ChildFailed, Recipe, answers, free_port, is_taken

ROOT = Path(__file__).parents[2]
SERVER = (
    "import http.server, sys; "
    "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])),"
    " http.server.SimpleHTTPRequestHandler).serve_forever()"
)
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(60)"
)
FAMILY = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "print(child.pid, flush=True); time.sleep(60)"
)
OWNER = (
    "import sys, time; from pathlib import Path; from infra.local.children import Child, Recipe; "
    "family = Recipe(name='helper', command=[sys.executable, '-c', sys.argv[1]], ready_url='',"
    " log=Path(sys.argv[2]), environment={}); "
    "child = Child(family, environment={}); print('started', flush=True); time.sleep(60)"
)
StartChild = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartChild]:
    """Starts a child that runs a piece of Python, and ends it after the test."""
    children = []

    def run(code: str, *arguments: str, port: int = 9, **environment: str) -> Child:
        recipe = Recipe(
            name="helper",
            command=[sys.executable, "-c", code, *arguments],
            ready_url=f"http://127.0.0.1:{port}/",
            log=tmp_path / "logs" / "helper.log",
            environment=environment,
        )
        children.append(Child(recipe, environment={"GREETING": "hello"}))
        return children[-1]

    yield run
    for child in children:
        child.stop()


def eventually(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, "not within 60 s"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """True while the process runs; an ended one that nobody waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_child_is_ready_once_it_answers_and_gone_once_it_is_stopped(start: StartChild):
    port = free_port()
    child = start(SERVER, str(port), port=port)
    child.wait_ready(patience=60)

    assert answers(f"http://127.0.0.1:{port}/")
    child.stop()
    assert not is_taken(port)


def test_a_child_that_ends_at_once_is_told_with_its_last_lines(start: StartChild):
    child = start("import sys; sys.exit('no model in this folder')")

    with pytest.raises(ChildFailed, match=r"helper ended with status 1\n.*no model in this folder"):
        child.wait_ready(patience=60)


def test_a_child_that_never_answers_is_told(start: StartChild):
    child = start("import time; time.sleep(60)", port=free_port())

    with pytest.raises(ChildFailed, match="not ready within 0 s"):
        child.wait_ready(patience=0.2)


def test_a_child_gets_our_environment_and_its_own(start: StartChild):
    child = start("import os; print(os.environ['GREETING'], os.environ['NAME'])", NAME="robin")

    eventually(lambda: "hello robin" in child.tail())


def test_only_the_last_lines_are_told(start: StartChild):
    child = start("for number in range(100): print('line', number)")

    eventually(lambda: "line 99" in child.tail())
    assert "line 9\n" not in child.tail()


def test_a_child_that_ignores_the_gentle_ending_is_killed(start: StartChild, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infra.local.children.STOP_PATIENCE", 0.3)
    child = start(DEAF)
    eventually(lambda: "deaf" in child.tail())
    child.stop()

    with pytest.raises(ChildFailed, match="status -9"):
        child.check()


def test_what_a_child_started_ends_with_it(start: StartChild):
    child = start(FAMILY)
    eventually(lambda: child.tail().strip().isdigit())
    grandchild = int(child.tail())
    child.stop()

    eventually(lambda: not is_alive(grandchild))


def test_a_child_and_what_it_started_end_with_an_owner_that_is_killed(tmp_path: Path):
    log = tmp_path / "helper.log"
    command = [sys.executable, "-c", OWNER, FAMILY, str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        eventually(lambda: log.read_text().endswith("\n"))
        owner.kill()
    grandchild = int(log.read_text())

    eventually(lambda: not is_alive(grandchild))


def test_a_child_can_be_stopped_twice(start: StartChild):
    child = start("import time; time.sleep(60)")
    child.stop()
    child.stop()

    with pytest.raises(ChildFailed):
        child.check()


def test_a_port_is_taken_while_somebody_listens():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert is_taken(port)
    assert not is_taken(port)
