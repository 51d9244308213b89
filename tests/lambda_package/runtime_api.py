"""Lambda's side of a function: the Runtime API on loopback, and AWS's own runtime client as a child process.

    with Function("bot.handlers.slack", folder=unpacked, python=runtime, environment=...) as function:
        answer = function.invoke(event, seconds=10)

The child is `awslambdaric`, which is what runs Python functions on AWS, so errors have their true shapes. It
knows the unpacked zip and the runtime's own packages, and nothing of this checkout. Lambda's guide, "Using
the Lambda runtime API for custom runtimes".
"""

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

NAME = "imagine-test-function"
ARN = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}"
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a function gave back. `error` is Lambda's: errorType, errorMessage and, mostly, stackTrace."""

    value: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Invocation:
    request_id: str
    event: bytes
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where invocations wait for the function and answers for the test; None answers for the start."""

    waiting: "Queue[_Invocation]" = field(default_factory=Queue)
    answers: "Queue[tuple[str | None, Answer]]" = field(default_factory=Queue)
    over: threading.Event = field(default_factory=threading.Event)


class Function:
    """One function and its process, which is started anew after a time-out, as on AWS.

    `folder` is the task root, `python` an interpreter with the runtime client.
    """

    def __init__(self, handler: str, *, folder: Path, python: Path, environment: Mapping[str, str]) -> None:
        self._handler = handler
        self._folder = folder
        self._python = python
        self._environment = environment
        self._numbers = count(1)
        self._desk = _Desk()

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_RuntimeApi, self._desk))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self._process = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.over.set()
        self._end()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._log.close()

    def invoke(self, event: object, *, seconds: float = 30.0) -> Answer:
        """The answer to an event; `seconds` is the function's time-out, which ends its process."""
        request_id = f"00000000-0000-0000-0000-{next(self._numbers):012d}"
        began = time.time()
        self._desk.waiting.put(
            _Invocation(request_id=request_id, event=json.dumps(event).encode(), deadline=began + seconds)
        )
        try:
            return self._answer_to(request_id, seconds=seconds)
        except Empty:
            self._end()
            self._process = self._start()
            return Answer(error={"errorMessage": f"{request_id} Task timed out after {seconds:.2f} seconds"})

    def start_error(self) -> Mapping[str, Any]:
        """The error that the start of the function failed with."""
        request_id, answer = self._desk.answers.get(timeout=START_SECONDS)
        assert request_id is None, "the function started"
        assert answer.error is not None
        return answer.error

    @property
    def log(self) -> str:
        """What the function wrote to its log so far."""
        self._log.seek(0)
        return self._log.read().decode()

    def _answer_to(self, request_id: str, *, seconds: float) -> Answer:
        """Past what came too late for an earlier event. Raises Empty."""
        deadline = time.monotonic() + seconds
        while True:
            answered, answer = self._desk.answers.get(timeout=max(deadline - time.monotonic(), 0.0))
            if answered in (request_id, None):
                return answer

    def _start(self) -> subprocess.Popen[bytes]:
        port = self._server.server_address[1]
        environment = {
            **self._environment,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": NAME,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LAMBDA_TASK_ROOT": str(self._folder),
            "_HANDLER": self._handler,
        }
        command = [self._python, "-m", "awslambdaric", self._handler]
        return subprocess.Popen(
            command, cwd=self._folder, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


class _RuntimeApi(BaseHTTPRequestHandler):
    """One request of the runtime client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, desk: "_Desk", *arguments: Any) -> None:
        self._desk = desk
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The next invocation, whenever there is one."""
        while not self._desk.over.is_set():
            with contextlib.suppress(Empty):
                invocation = self._desk.waiting.get(timeout=0.1)
                self._reply(200, invocation.event, _headers(invocation))
                return

    def do_POST(self) -> None:
        """An answer, or an error of an invocation or of the start."""
        told = json.loads(self._body() or b"null")
        *_, request_id, kind = self.path.split("/")
        answer = Answer(value=told) if kind == "response" else Answer(error=told)
        self._desk.answers.put((None if request_id == "init" else request_id, answer))
        self._reply(202, b'{"status": "OK"}', {})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is for what failed."""


def _headers(invocation: _Invocation) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": ARN,
        "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
    }
