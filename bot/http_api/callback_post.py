"""One POST to a client's address: no redirects, no proxies, little read, and an end in any case."""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bot.domain.errors import Ambiguous, Rejected, Unavailable
from bot.http_api.callback_address import AddressRules, Destination

CONNECT_SECONDS = 4.0
TOTAL_SECONDS = 10.0
"""Seconds that one call may take in all, however slowly the other side drips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the address said: the status, and how many seconds it wants us to wait."""

    status: int
    retry_after: float | None = None


class Post(Protocol):
    """Sends one callback. Raises Rejected, Unavailable, Ambiguous."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer: ...


class HttpsPost:
    """The port Post over the network; `context` is for tests with a certificate authority of their own."""

    def __init__(
        self, rules: AddressRules, *, context: ssl.SSLContext | None = None, seconds: float = TOTAL_SECONDS
    ) -> None:
        self._rules = rules
        self._context = context
        self._seconds = seconds

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See Post. A certificate that does not name the host is a lasting no."""
        connection = _Pinned(self._rules.destination(url), context=self._context, seconds=self._seconds)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise Rejected("callback_certificate") from error
        except OSError as error:
            raise Unavailable("callback_unreachable") from error
        ending = threading.Timer(self._seconds, connection.hang_up)
        ending.daemon = True
        ending.start()
        try:
            connection.request("POST", connection.destination.target, body=body, headers=dict(headers))
            reply = connection.getresponse()
            return Answer(status=reply.status, retry_after=_seconds(reply.headers.get("retry-after")))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Ambiguous("callback_no_answer") from error
        finally:
            ending.cancel()
            connection.close()


class _Pinned(http.client.HTTPConnection):
    """Connects to the address that was checked; the certificate must be the host's."""

    def __init__(self, destination: Destination, *, context: ssl.SSLContext | None, seconds: float) -> None:
        super().__init__(destination.host, destination.port, timeout=CONNECT_SECONDS)
        self.destination = destination
        self._tls = context
        self._seconds = seconds
        if destination.is_secure:
            self.default_port = http.client.HTTPS_PORT  # so that Host is told without it

    def connect(self) -> None:
        """Raises OSError, also for a certificate that does not fit."""
        place = self.destination
        plain = socket.create_connection((place.address, place.port), timeout=CONNECT_SECONDS)
        try:
            if place.is_secure:
                context = self._tls or ssl.create_default_context()
                self.sock = context.wrap_socket(plain, server_hostname=place.host)
            else:
                self.sock = plain
            self.sock.settimeout(self._seconds)
        except BaseException:
            plain.close()
            raise

    def hang_up(self) -> None:
        """End whatever is being waited for."""
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


def _seconds(text: str | None) -> float | None:
    """A number of seconds; a date is passed over, and our own back-off holds."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else None
