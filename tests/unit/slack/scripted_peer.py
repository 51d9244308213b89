"""An HTTP server that answers each request as the test says, also by hanging up."""

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

HANG_UP = b""
HANG_UP_AFTER = b"<end of connection>"


def reply(status=200, body=b"", **headers):
    """The bytes of an HTTP reply; header names take `_` for `-`."""
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def ok(**answer):
    return reply(body=json.dumps({"ok": True, **answer}).encode())


def no(error):
    return reply(body=json.dumps({"ok": False, "error": error}).encode())


@dataclass
class Request:
    target: str
    headers: dict
    body: bytes

    @property
    def form(self):
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Peer:
    """`script` holds the answers to come; `connections` counts the connections that were opened."""

    script: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    connections: int = 0

    def __enter__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.close_connections()
        for thread in self._threads:
            thread.join(60)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/"

    def wait_for_requests(self, count, *, patience=60.0):
        """Until so many requests were read; a client may give up before we have read its request."""
        deadline = time.monotonic() + patience
        while len(self.requests) < count and time.monotonic() < deadline:
            time.sleep(0.005)

    def close_connections(self):
        """What a server does with connections that idled too long."""
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client closed it first

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            while request := _read_request(lines):
                self.requests.append(request)
                answer = self.script.pop(0) if self.script else ok()
                if answer == HANG_UP:
                    return
                connection.sendall(answer.removesuffix(HANG_UP_AFTER))
                if answer.endswith(HANG_UP_AFTER):
                    return


def _read_request(lines):
    try:
        first = lines.readline().decode()
        headers = {}
        while (line := lines.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = lines.read(int(headers.get("content-length", 0)))
    except OSError:
        return None
    return Request(target=first.split()[1], headers=headers, body=body) if first else None
