"""Kept-alive HTTP connections that know the difference between "not sent" and "reply lost".

A connection is used by one thread at a time. One that idled for a few seconds, or that the peer has closed
meanwhile, is replaced before it is used: a request on a dead connection could neither be called sent nor
unsent, and repeating a post would show it twice.
"""

import http.client
import select
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bot.domain.errors import Ambiguous, Unavailable

IDLE_SECONDS = 4.0
CONNECT_SECONDS = 3.0
MAX_REPLY = 4 * 1024 * 1024
ODD_CHARACTERS = frozenset(" \\\t\r\n")

Failure = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port of a peer."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """The origin of an http(s) address. Raises ValueError for any other one, or one with a user in it."""
        if not url.isascii() or not url.isprintable() or not ODD_CHARACTERS.isdisjoint(url):
            raise ValueError("not a plain address")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError("not an http address")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port or {"http": 80, "https": 443}[parts.scheme],
        )

    @property
    def is_loopback(self) -> bool:
        return self.host in {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class LostConnection(Ambiguous):
    """The peer closed the connection where its reply was expected."""


class Connections:
    """POSTs over connections that are kept while they are fresh. `close` ends them all."""

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._idle: dict[Origin, list[tuple[http.client.HTTPConnection, float]]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def post(self, origin: Origin, target: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """One request, one reply.

        Raises Unavailable when the request did not leave whole, which no server acts on, and Ambiguous when
        it did and no reply was read (LostConnection when the peer hung up, at once or in the middle).
        """
        connection = self._fresh(origin)
        try:
            connection.request("POST", target, body=body, headers=dict(headers))
        except Failure as error:
            connection.close()
            raise Unavailable("not_sent") from error
        try:
            return self._read(origin, connection)
        except (ConnectionError, http.client.HTTPException) as error:
            connection.close()
            raise LostConnection("reply_lost") from error
        except OSError as error:
            connection.close()
            raise Ambiguous("reply_lost") from error

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection, _ in (entry for entries in idle.values() for entry in entries):
            connection.close()

    def _fresh(self, origin: Origin) -> http.client.HTTPConnection:
        kept = self._kept(origin)
        if kept is not None:
            return kept
        connection = self._new(origin)
        try:
            connection.connect()
        except Failure as error:
            connection.close()
            raise Unavailable("no_connection") from error
        assert connection.sock is not None
        connection.sock.settimeout(self._timeout)
        return connection

    def _kept(self, origin: Origin) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                entries = self._idle.get(origin)
                if not entries:
                    return None
                connection, since = entries.pop()
            if time.monotonic() - since < IDLE_SECONDS and not _has_something_to_read(connection):
                return connection
            connection.close()

    def _new(self, origin: Origin) -> http.client.HTTPConnection:
        if origin.scheme == "http":
            return http.client.HTTPConnection(origin.host, origin.port, timeout=CONNECT_SECONDS)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return http.client.HTTPSConnection(
            origin.host, origin.port, timeout=CONNECT_SECONDS, context=self._tls
        )

    def _read(self, origin: Origin, connection: http.client.HTTPConnection) -> Reply:
        response = connection.getresponse()
        body = response.read(MAX_REPLY)
        if response.will_close or not response.isclosed():
            connection.close()
        else:
            with self._lock:
                self._idle.setdefault(origin, []).append((connection, time.monotonic()))
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(status=response.status, headers=headers, body=body)


def _has_something_to_read(connection: http.client.HTTPConnection) -> bool:
    """An idle connection with something to read was closed by the peer, or is out of step."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
