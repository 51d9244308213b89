"""The inference server's HTTP side: one call, one connection.

A connection is opened for every call: a drawing takes seconds and a local connection a tenth of a
millisecond, and a connection kept open may turn out to be closed just when a request was sent on it.
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bot.domain.errors import Ambiguous, ConfigError, Rejected, Unavailable

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered, whatever the status."""

    status: int
    body: bytes


class InferenceServer:
    """Calls to a server that speaks SageMaker's `/ping` and `/invocations`, and our `/control`.

    `most_bytes` caps every answer; `impatience` is how many seconds calls other than a drawing may take.
    Calls raise Unavailable("unavailable") when nobody answers the door, Ambiguous("unavailable") when the
    connection is lost, Ambiguous("timeout") and Rejected("reply_too_large").
    """

    def __init__(self, url: str, *, most_bytes: int = 64 << 20, impatience: float = 1.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"the endpoint's address must look like http://127.0.0.1:8080, not {url!r}")
        self._secure = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._most_bytes = most_bytes
        self._impatience = impatience
        self._sockets: set[socket.socket] = set()
        self._turn = threading.Lock()
        self._stopped = False

    def invoke(self, inference_id: str, body: bytes, *, timeout: float) -> Answer:
        """Draw, waiting at most `timeout` seconds in all; our server stops a drawing whose caller left."""
        return self._call("POST", "/invocations", body, headers={INFERENCE_ID: inference_id}, timeout=timeout)

    def ping(self) -> Answer:
        """SageMaker's health check: 200 means that it can draw."""
        return self._call("GET", "/ping")

    def catalogue(self) -> Answer:
        """Which models and LoRAs it has; a server without that task refuses it."""
        return self._call("POST", "/invocations", json.dumps({"task": "catalogue"}).encode())

    def cancel(self, inference_id: str) -> bool:
        """Stop a drawing between two steps; False where the server has none of that id or no such route."""
        answer = self._call("POST", "/control/cancel", json.dumps({"id": inference_id}).encode())
        return answer.status == 200 and bool(json_object(answer.body).get("cancelled"))

    def progress(self) -> dict[str, tuple[int, int]]:
        """Step and number of steps by inference id; empty where the server has no such route."""
        invocations = json_object(self._call("GET", "/control/progress").body).get("invocations")
        return {
            item["id"]: (item["step"], item["steps"])
            for item in (invocations if isinstance(invocations, list) else ())
            if _is_progress(item)
        }

    def stop(self) -> None:
        """End the calls under way and refuse new ones."""
        with self._turn:
            self._stopped = True
            for connected in self._sockets:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        deadline = time.monotonic() + (self._impatience if timeout is None else timeout)
        connection = self._connect(deadline)
        connected = connection.sock
        sent = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
        try:
            connection.request(method, self._path + path, body=body, headers=sent)
            return self._read(connection, connected, deadline)
        except TimeoutError as error:
            raise Ambiguous("timeout") from error
        except (OSError, http.client.HTTPException) as error:
            raise Ambiguous("unavailable") from error
        finally:
            with self._turn:
                self._sockets.discard(connected)
            connection.close()
            connected.close()

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=max(0.01, deadline - time.monotonic()))
        try:
            connection.connect()
        except OSError as error:
            raise Unavailable("unavailable") from error
        with self._turn:
            if not self._stopped:
                self._sockets.add(connection.sock)
                return connection
        connection.close()
        raise Unavailable("unavailable")

    def _read(
        self, connection: http.client.HTTPConnection, connected: socket.socket, deadline: float
    ) -> Answer:
        """The whole answer by the deadline, though a server may send it byte by byte."""
        _wait_until(connected, deadline)
        body = bytearray()
        with connection.getresponse() as response:
            while piece := response.read1(PIECE):
                body += piece
                if len(body) > self._most_bytes:
                    raise Rejected("reply_too_large")
                _wait_until(connected, deadline)
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return Answer(status=response.status, body=bytes(body))


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, an empty one when it holds none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_progress(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("id"), str)
        and all(isinstance(item.get(number), int) for number in ("step", "steps"))
    )


def _wait_until(connected: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if connected.fileno() >= 0:  # an answer that has ended may have closed it
        connected.settimeout(left)
