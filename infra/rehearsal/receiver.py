"""A client's own server: it takes what the service posts when a drawing has ended."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request as it came; names of `headers` are in small letters."""

    headers: Mapping[str, str]
    body: bytes


class Receiver(ThreadingHTTPServer):
    """Listens on a free loopback port. The first `refusals` requests get a 503."""

    daemon_threads = True

    def __init__(self, *, refusals: int) -> None:
        self.refusals = refusals
        self.posted: list[Posted] = []
        self.turn = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/drawn"

    def take(self, posted: Posted) -> int:
        """The status that answers it."""
        with self.turn:
            self.posted.append(posted)
            return 503 if len(self.posted) <= self.refusals else 204


@contextmanager
def receiving(*, refusals: int) -> Iterator[Receiver]:
    """Served until the block ends."""
    receiver = Receiver(refusals=refusals)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.send_response(self.server.take(Posted(headers=headers, body=body)))
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """What was received is told in the table."""
