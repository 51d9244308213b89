"""Who may come in: one look at the raw bytes of a request, before anything is parsed or logged.

Slack signs `v0:<timestamp>:<body>` with HMAC-SHA256 ("Verifying requests from Slack"). A request is let
in when exactly one timestamp and one signature header are there, the timestamp is within five minutes of
our clock, and one of our secrets (two while a secret is being rotated) made the signature.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_BODY = 1024 * 1024
MAX_AGE = 300
TIMESTAMP = re.compile(r"[0-9]{1,11}")
SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
TIMESTAMP_HEADER = "x-slack-request-timestamp"
SIGNATURE_HEADER = "x-slack-signature"
BOLT_HEADERS = "x-slack-bolt-"
"""Bolt's own envelope for its lazy listeners. It is not signed, so nobody outside may send it."""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """200 let in, 400 malformed or repeated header, 401 unsigned, stale or wrongly signed, 413 too large."""

    status: int

    @property
    def is_in(self) -> bool:
        return self.status == 200


def check(headers: Headers, body: bytes, *, secrets: Sequence[str], now: float) -> Verdict:
    """Judge a request by its raw bytes. Never raises. `now` is seconds since the epoch."""
    return Verdict(status=_status(_pairs(headers), body, secrets=secrets, now=now))


def admitted(headers: Headers) -> dict[str, list[str]]:
    """The headers Bolt may see: lower-case names, every value, without Bolt's unsigned internal ones."""
    kept: dict[str, list[str]] = {}
    for name, value in _pairs(headers):
        if not name.startswith(BOLT_HEADERS):
            kept.setdefault(name, []).append(value)
    return kept


def _status(headers: Sequence[tuple[str, str]], body: bytes, *, secrets: Sequence[str], now: float) -> int:
    if len(body) > MAX_BODY:
        return 413
    stamps = [value for name, value in headers if name == TIMESTAMP_HEADER]
    signatures = [value for name, value in headers if name == SIGNATURE_HEADER]
    if not stamps or not signatures:
        return 401
    if len(stamps) > 1 or len(signatures) > 1:
        return 400
    stamp, signature = stamps[0], signatures[0]
    if not TIMESTAMP.fullmatch(stamp) or not SIGNATURE.fullmatch(signature):
        return 400
    if abs(now - int(stamp)) > MAX_AGE:
        return 401
    return 200 if _signed_by_us(stamp, signature, body, secrets) else 401


def _signed_by_us(stamp: str, signature: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Every secret is tried, so the time taken does not tell which one matched."""
    message = b"v0:" + stamp.encode() + b":" + body
    matches = [hmac.compare_digest(sign(secret, message), signature) for secret in secrets if secret]
    return any(matches)


def sign(secret: str, message: bytes) -> str:
    """Slack's signature of `v0:<timestamp>:<body>`."""
    return "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    items = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.lower(), value) for name, value in items]
