"""A small real HTTP server that answers like the inference server, as told by the test."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, bytes]
HELD_AT_MOST = 250.0


class InferenceStub:
    """Draws `answer(body)`; while `gate` is cleared, drawings wait. Everything it was asked is kept."""

    def __init__(self) -> None:
        self.ping: Reply = (200, b'{"model": "demo"}')
        self.answer: Callable[[bytes], Reply] = lambda _body: (200, b'{"images": []}')
        self.progress: Reply = (200, b'{"invocations": []}')
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)
        self.pinged = threading.Semaphore(0)
        self.invocations: list[tuple[str, bytes]] = []
        self.cancelled: list[str] = []
        self.url = ""

    def draw(self, inference_id: str, body: bytes) -> Reply:
        self.invocations.append((inference_id, body))
        self.started.release()
        if not self.gate.wait(HELD_AT_MOST):
            return 500, b"the test never opened the gate"
        return self.answer(body)

    def cancel(self, body: bytes) -> Reply:
        inference_id = json.loads(body)["id"]
        self.cancelled.append(inference_id)
        running = any(inference_id == drawn for drawn, _ in self.invocations)
        return 200, json.dumps({"cancelled": int(running)}).encode()


@contextmanager
def running_stub(port: int = 0) -> Iterator[InferenceStub]:
    """A stub on a port of the loopback (0: a free one); gone when the block ends."""
    stub = InferenceStub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def do_GET(self) -> None:
            if self.path == "/ping":
                stub.pinged.release()
            self.reply(*{"/ping": stub.ping, "/control/progress": stub.progress}.get(self.path, (404, b"")))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/invocations":
                self.reply(*stub.draw(self.headers["X-Amzn-SageMaker-Inference-Id"], body))
            else:
                self.reply(*stub.cancel(body))

        def reply(self, status: int, body: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        stub.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
