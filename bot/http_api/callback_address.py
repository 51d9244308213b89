"""Which addresses outcomes are sent to: https, and public after resolution.

Who asks for pictures names an address that our machines then call. So it must lead nowhere that the client
could not reach by itself: not into our network, not to a machine's own metadata service (OWASP, "Server-Side
Request Forgery Prevention"). The name is resolved once and the connection goes to the address that was
checked: a name that changes its answer between the two changes nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from bot.domain.errors import Rejected, Unavailable

HTTPS_PORTS = frozenset({443, 8443})
LONGEST_HOST = 253
LOCAL_ENDINGS = (".local", ".internal", ".localhost", ".home.arpa")

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"({_LABEL}\.)+(?![0-9]+$|0x)({_LABEL})")
"""Two labels or more, of which the last is no number: resolvers read numbers as addresses, in any base."""

Resolve = Callable[[str, int], Sequence[str]]
"""From (host, port) to IP addresses as text. Raises OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a callback goes. The certificate must name `host`; the socket connects to `address`."""

    host: str
    port: int
    address: str
    target: str
    is_secure: bool


def resolve(host: str, port: int) -> Sequence[str]:
    """As the machine resolves names. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressRules:
    """`loopback` also lets http://127.0.0.1 be called: for rehearsals and tests on one machine."""

    def __init__(self, *, loopback: bool = False, resolve: Resolve = resolve) -> None:
        self._loopback = loopback
        self._resolve = resolve

    def refusal(self, url: str) -> str | None:
        """Why a URL is not called, as far as its text tells; None when it may be. Resolves nothing."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "It is no URL."
        if self._loopback and _is_loopback(parts):
            return None
        return _shape_refusal(url, parts, port)

    def destination(self, url: str) -> Destination:
        """Where to connect now. Raises Rejected for what must not be called, Unavailable without an answer
        of the name service.
        """
        if self.refusal(url) is not None:
            raise Rejected("callback_address")
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return Destination(
            host=host,
            port=port,
            address=host if self._loopback and _is_loopback(parts) else self._public(host, port),
            target=f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}",
            is_secure=secure,
        )

    def _public(self, host: str, port: int) -> str:
        """The first address, when every one of them is public."""
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Unavailable("callback_unresolved") from error
        if not found:
            raise Unavailable("callback_unresolved")
        if not all(is_public(address) for address in found):
            raise Rejected("callback_address")
        return found[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where it carries another one inside."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or _translated(parsed)
        if inner is not None:
            return is_public(str(inner))
        if parsed.teredo is not None or parsed.is_site_local:
            return False
    return (
        parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and parsed not in _ASSIGNMENTS
    )


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")
"""For protocols (RFC 6890); a cloud has its metadata there. Older Pythons take most of it for public."""


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside one of NAT64 (RFC 6052)."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _shape_refusal(url: str, parts: SplitResult, port: int | None) -> str | None:
    host = parts.hostname or ""
    if not url.isascii() or any(character.isspace() or ord(character) < 0x21 for character in url):
        return "It holds blanks or characters beyond ASCII."
    if parts.scheme != "https":
        return "It is no https address."
    if "@" in parts.netloc:
        return "It holds a user name or password."
    if parts.fragment or "\\" in url:
        return "It holds a fragment or a backslash."
    if port is not None and port not in HTTPS_PORTS:
        return f"Its port is none of {', '.join(map(str, sorted(HTTPS_PORTS)))}."
    return _host_refusal(host)


def _host_refusal(host: str) -> str | None:
    if not host or len(host) > LONGEST_HOST:
        return "It names no host."
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".")
        if not _NAME.fullmatch(name) or name.endswith(LOCAL_ENDINGS):
            return "Its host is no public name."
        return None
    return None if is_public(host) else "Its address is not public."


def _is_loopback(parts: SplitResult) -> bool:
    plain = not (parts.username or parts.password or parts.fragment)
    return plain and parts.scheme in ("http", "https") and parts.hostname == "127.0.0.1"
