"""A small HTTP server on the loopback for whoever sends the bot requests: the local Slack, or a tunnel."""

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Protocol
from urllib.parse import urlsplit

from bot.domain.errors import ConfigError
from bot.ports import Journal

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_BYTES = 1 << 20
PATIENCE = 10.0
DRAINED = 4 * MOST_BYTES


class Reply(Protocol):
    """What goes back."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainReply:
    """A reply of the server's own."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Handle = Callable[[str, str, Sequence[tuple[str, str]], bytes], Reply]
"""Takes method, path with query, headers in order with lower-case names, and the whole body."""

Refused = Callable[[int], Reply]
"""From the status of a request that is refused unread to what is said about it."""


def _plain(status: int) -> Reply:
    return PlainReply(status=status)


class WebServer:
    """Serves `handle`, each connection in a thread of its own, from `start` to `close`.

    A request is refused before its body is read when its Host or Origin is foreign (403: a page of somewhere
    else must not reach us through the person's browser), when it is longer than 1 MiB (413) or of unknown
    length (411); `refused` words that. `hosts` adds names to the loopback's own, such as a tunnel's. Port 0
    takes a free one. Raises ConfigError when the port is taken.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        journal: Journal,
        host: str = "127.0.0.1",
        port: int = 0,
        hosts: frozenset[str] = frozenset(),
        refused: Refused | None = None,
    ) -> None:
        allowed, refused = LOOPBACK | hosts, refused or _plain
        try:
            self._server = _Server(
                (host, port), handle=handle, journal=journal, hosts=allowed, refused=refused
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another port"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="web")
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Take requests until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, answer those under way, end every thread."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Exchange(BaseHTTPRequestHandler):
    """One connection and the requests on it."""

    server: "_Server"
    protocol_version = "HTTP/1.1"
    server_version = "imagine"
    sys_version = ""
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def exchange(self) -> None:
        """Read, hand over, write."""
        refusal = _refusal(self.headers.get_all, self.server.hosts)
        if refusal is not None:
            self._refuse(refusal)
            return
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        self._write(self._ask(body))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is the handler's to answer, also one that nobody has heard of."""
        if name.startswith("do_"):
            return self.exchange
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: paths and headers of strangers have no place in a log."""

    def _ask(self, body: bytes) -> Reply:
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        try:
            return self.server.handle(self.command, self.path, headers, body)
        except Exception as error:  # noqa: BLE001 (whoever asked gets an answer, and no traceback)
            self.server.journal.event("request_crashed", kind=type(error).__name__)
            return PlainReply(status=500)

    def _refuse(self, status: int) -> None:
        """Answer and hang up. What the peer still sends is read a while, else it might miss the answer."""
        self.close_connection = True
        reply = self.server.refused(status)
        headers = {**reply.headers, "connection": "close"}
        self._write(PlainReply(status=reply.status, headers=headers, body=reply.body))
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        drained = 0
        while drained < DRAINED and (piece := self.rfile.read1(65536)):
            drained += len(piece)

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = False
    block_on_close = True

    def __init__(
        self,
        address: tuple[str, int],
        *,
        handle: Handle,
        journal: Journal,
        hosts: frozenset[str],
        refused: Refused,
    ) -> None:
        self.handle = handle
        self.refused = refused
        self.journal = journal
        self.hosts = hosts
        self._open: set[socket.socket] = set()
        super().__init__(address, _Exchange)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that hangs up in the middle is its own business."""

    def server_close(self) -> None:
        """Connections kept open but idle see an end of file; replies under way are still written."""
        for request in tuple(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RD)
        super().server_close()


def _refusal(header: Callable[[str, list[str]], list[str]], hosts: frozenset[str]) -> int | None:
    """The status by which a request is refused for its headers alone, None when it may go on."""
    if any(_hostname(f"//{host}") not in hosts for host in header("Host", [""])):
        return 403
    if any(_hostname(origin) not in hosts for origin in header("Origin", [])):
        return 403
    if header("Transfer-Encoding", []):
        return 411
    lengths = header("Content-Length", ["0"])
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()) or len(lengths[0]) > 15:
        return 400
    return 413 if int(lengths[0]) > MOST_BYTES else None


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
