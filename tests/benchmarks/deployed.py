"""The ack as Slack feels it: signed commands from k6, five a second, to our function and to a bare one.

Both run out of accept.zip under AWS's runtime client, five warm processes each, behind the same HTTP server;
AWS is a stub in another process. Nobody takes the nudges, as while dispatch is paused.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

from bot.local.journal import ListJournal
from bot.local.web_server import WebServer
from bot.slack.receiver import Response
from infra import function_zip
from infra.function_python import runtime_python
from tests.benchmarks.accept_aws import SETTINGS
from tests.benchmarks.aws_stub import SECRET
from tests.benchmarks.cold_import import ENVIRONMENT
from tests.benchmarks.commands import at_a_rate
from tests.benchmarks.figures import quantile, single
from tests.lambda_package.runtime_api import Function
from tests.lambda_package.tool_environments import environment
from tests.scenarios.on_aws import _gateway_event

WORKERS = 5
SECONDS = 30
GOAL = 2.5
HERE = Path(__file__).parent


def main() -> None:
    python = runtime_python()
    runtime = environment("lambda-runtime", python=python) / "python"
    with tempfile.TemporaryDirectory() as name, _stub() as aws:
        folder = _unpacked(Path(name), python)
        settings = {"PATH": os.environ["PATH"], **ENVIRONMENT, **SETTINGS, "AWS_ENDPOINT_URL": aws}
        settings |= {"ECHO_SECRET": SECRET, "PYTHONPATH": str(HERE / "task_root")}
        p95 = {}
        for handler in ("echo.handler", "bot.handlers.slack"):
            with _served(handler, folder=folder, python=runtime, settings=settings) as url:
                told = at_a_rate(url, team="T1", channel="C1", secret=SECRET, seconds=SECONDS, run="1")
            p95[handler] = quantile(told.milliseconds, 0.95)
            single(f"{handler}, ack, median", statistics.median(told.milliseconds), unit="ms")
            single(f"{handler}, ack, p95", p95[handler], unit="ms")
            print(*(f"{handler}, {line}" for line in told.checks), sep="\n")
    single(
        "p95, ours / bare", p95["bot.handlers.slack"] / p95["echo.handler"], unit="", goal=f"goal <= {GOAL}"
    )


@contextmanager
def _stub() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.aws_stub"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def _unpacked(home: Path, python: Path) -> Path:
    packed, folder = home / "accept.zip", home / "accept"
    function_zip.pack(packed, "accept", platform="host", python=python)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return folder


@contextmanager
def _served(handler: str, *, folder: Path, python: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """The address of a gateway before warm workers."""
    idle: SimpleQueue[Function] = SimpleQueue()

    def answer(method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Response:
        worker = idle.get()
        try:
            told = worker.invoke(_gateway_event(method, path, headers, body)).value
        finally:
            idle.put(worker)
        return Response(status=told["statusCode"], headers={}, body=told["body"].encode())

    with ExitStack() as ending:
        for _ in range(WORKERS):
            worker = ending.enter_context(
                Function(handler, folder=folder, python=python, environment=settings)
            )
            worker.invoke(_gateway_event("POST", "/slack/events", [], b""))
            idle.put(worker)
        server = WebServer(answer, journal=ListJournal())
        server.start()
        ending.callback(server.close)
        yield f"{server.url}/slack/events"


if __name__ == "__main__":
    main()
