"""The real inference server in a thread, with an engine and replies that misbehave when they are told to."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from container.serving.app import create_app
from container.serving.drawing_queue import WARM_UP
from container.serving.engine import Drawing, DrawRequest, OnStep
from container.serving.pattern_engine import PatternEngine
from container.serving.process import bind, create_server
from container.serving.settings import Settings

HELD_AT_MOST = 120.0


class SteeredEngine(PatternEngine):
    """Draws stripes; can be held between two steps and made to fail.

    `asked` are the requests it took up, `drawn` the drawings it finished, `steps` the steps it made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[DrawRequest] = []
        self.drawn: list[Drawing] = []
        self.steps = 0
        self._gate = threading.Event()
        self._gate.set()
        self._failures: deque[Exception] = deque()

    def hold(self) -> None:
        """Stop before the next step, until `release`."""
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    def fail_next(self, *failures: Exception) -> None:
        """The next drawings raise these, one each."""
        self._failures.extend(failures)

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if request.prompt == WARM_UP.prompt:
            return super().generate(request, on_step=on_step)
        self.asked.append(request)
        if self._failures:
            raise self._failures.popleft()

        def steered(step: int, steps: int) -> None:
            self._gate.wait(HELD_AT_MOST)
            on_step(step, steps)
            self.steps += 1

        drawing = super().generate(request, on_step=steered)
        self.drawn.append(drawing)
        return drawing


class PlannedReplies:
    """Answers drawings with what was planned, in front of the real application.

    The sweep's own question, which files the container has, may come at any moment and is never answered so.
    """

    def __init__(self, app: ASGIApp, *, planned: deque[tuple[int, bytes]]) -> None:
        self._app = app
        self._planned = planned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/invocations" or not self._planned:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if (await request.json()).get("task") == "catalogue":
            await self._app(scope, _again(await request.body(), receive), send)
            return
        status, body = self._planned.popleft()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, told once more; then what really comes."""
    told: deque[Message] = deque([{"type": "http.request", "body": body, "more_body": False}])

    async def next_message() -> Message:
        return told.popleft() if told else await receive()

    return next_message


class Inference:
    """The server at `url`, from `start` to `stop`; it can be started again at the same address."""

    def __init__(self) -> None:
        self.engine = SteeredEngine()
        self._planned: deque[tuple[int, bytes]] = deque()
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def reply_next(self, body: Any, *, status: int = 200) -> None:
        """The next drawing gets this reply (bytes as they are, all else as JSON) and draws nothing."""
        self._planned.append((status, body if isinstance(body, bytes) else json.dumps(body).encode()))

    def start(self) -> Self:
        settings = Settings(control=True, finish_s=0.5, closing_s=0.5)
        app = create_app(self.engine, settings=settings)
        app.add_middleware(PlannedReplies, planned=self._planned)
        listening = bind("127.0.0.1", self._port)
        self._port = listening.getsockname()[1]
        self._server = create_server(app, settings=settings)

        def run() -> None:
            with listening:
                assert self._server is not None
                self._server.run(sockets=[listening])

        self._thread = threading.Thread(target=run, name="inference")
        self._thread.start()
        _eventually(lambda: app.state.queue.health().engine is not None and self._server is not None)
        return self

    def begin_to_stop(self) -> None:
        """Free the engine and ask the server to shut down; `stop` waits for it."""
        self.engine.release()
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """Shut down; a drawing that is held then is answered without a picture."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(20)
        self._server = None


def _eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "not within 60 s"
        time.sleep(0.005)
