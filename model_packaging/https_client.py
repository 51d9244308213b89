"""HTTPS to hosts that strangers name: the address is checked after it was resolved, and that one is called.

Every redirect is checked anew, and a token goes only to the host it was given for.
"""

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from model_packaging.errors import FetchRefused

MOST_REDIRECTS = 5
PATIENCE = 30.0
MOST_JSON_BYTES = 8 * 2**20
REDIRECTS = (301, 302, 303, 307, 308)

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to IP addresses."""

Connect = Callable[[str, int], socket.socket]
"""A TCP connection to an IP address."""


class Answered(Protocol):
    """What a response is read by."""

    status: int

    def read(self, amount: int = ...) -> bytes: ...
    def getheader(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token and the one host that may see it."""

    host: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsClient:
    """`resolve`, `connect` and `context` are the system's unless a test brings its own."""

    tokens: tuple[Token, ...] = ()
    resolve: Resolve = field(default_factory=lambda: resolved)
    connect: Connect = field(default_factory=lambda: connected)
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None) -> "Iterator[Answered]":
        """GET, following redirects; yields an answer of status 200 or 206. Raises `FetchRefused`."""
        with contextlib.ExitStack() as opened:
            for _ in range(MOST_REDIRECTS + 1):
                answer = opened.enter_context(self._asked(url, headers or {}))
                if answer.status not in REDIRECTS:
                    _check_status(answer.status, url)
                    yield answer
                    return
                url = urljoin(url, answer.getheader("Location") or "")
                opened.pop_all().close()
            raise FetchRefused("redirects", f"{host_of(url)} redirects more than {MOST_REDIRECTS} times")

    def json(self, url: str) -> dict[str, Any]:
        """A JSON object. Raises `FetchRefused`."""
        with self.open(url, {"Accept": "application/json"}) as answer:
            body = answer.read(MOST_JSON_BYTES + 1)
        try:
            content = json.loads(body) if len(body) <= MOST_JSON_BYTES else None
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise FetchRefused("bad_answer", f"{host_of(url)} did not answer with a JSON object")
        return content

    @contextmanager
    def _asked(self, url: str, headers: Mapping[str, str]) -> "Iterator[http.client.HTTPResponse]":
        host, path = checked(url), urlsplit(url)
        tokens = [token.value for token in self.tokens if token.host == host]
        sent = {"User-Agent": "imagine", **headers}
        if tokens:
            sent["Authorization"] = f"Bearer {tokens[0]}"
        connection = http.client.HTTPSConnection(host, 443, context=self.context)
        target = (path.path or "/") + (f"?{path.query}" if path.query else "")
        try:
            connection.sock = self._secured(host)
            connection.request("GET", target, headers=sent)
            with connection.getresponse() as answer:
                yield answer
        except (OSError, http.client.HTTPException) as error:
            raise FetchRefused("unreachable", f"{host} cannot be reached or broke off: {error}") from error
        finally:
            connection.close()

    def _secured(self, host: str) -> ssl.SSLSocket:
        address = public_address(host, self.resolve(host, 443))
        plain = self.connect(address, 443)
        try:
            return self.context.wrap_socket(plain, server_hostname=host)
        except OSError:
            plain.close()
            raise


def checked(url: str) -> str:
    """The host of an address that may be called. Raises `FetchRefused`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchRefused("bad_address", f"{url[:200]!r} is no address") from error
    if parts.scheme != "https" or not parts.hostname:
        raise FetchRefused("not_https", f"{url[:200]!r}: only https:// addresses are fetched")
    if parts.username is not None or parts.password is not None:
        raise FetchRefused("credentials", "an address must not hold a name or password; use the environment")
    if port not in (None, 443):
        raise FetchRefused("port", f"{parts.hostname}: only https' own port 443 is fetched from")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise FetchRefused("bad_address", f"{url[:200]!r} must be percent-encoded")
    return parts.hostname


def public_address(host: str, addresses: Sequence[str]) -> str:
    """The first address, if all are public. Raises `FetchRefused`: one private address refuses the host."""
    for address in addresses:
        if not _is_public(address):
            raise FetchRefused("private_address", f"{host} is {address}, which is no public address")
    if not addresses:
        raise FetchRefused("unknown_host", f"{host} has no address; check the spelling")
    return addresses[0]


def resolved(host: str, port: int) -> list[str]:
    """The system's answer. Raises `FetchRefused`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchRefused("unknown_host", f"{host} has no address; check the spelling") from error
    return [str(address[0]) for *_, address in found]


def connected(address: str, port: int) -> socket.socket:
    """A connection that gives up when nothing comes for `PATIENCE` seconds."""
    return socket.create_connection((address, port), timeout=PATIENCE)


def host_of(url: str) -> str:
    """For messages: an address's query may hold a signature."""
    return urlsplit(url).hostname or "the server"


def _is_public(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return _is_public(str(inner))
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return _is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast and not found.is_reserved


def _check_status(status: int, url: str) -> None:
    if status in (200, 206):
        return
    host = host_of(url)
    if status in (401, 403):
        fix = "accept the model's terms on its page, and set HF_TOKEN or CIVITAI_TOKEN"
        raise FetchRefused("forbidden", f"{host} answers {status}: {fix}")
    if status == 404:
        raise FetchRefused("not_found", f"{host} answers 404: there is no such file; check the name")
    raise FetchRefused("bad_answer", f"{host} answers {status}; try again later")
