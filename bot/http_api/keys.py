"""API keys: made once, shown once, kept as a hash in one shared row.

A key is `imagine_<id>_<secret>`. The id names the key everywhere (rows, journal, lists); the secret is 256
random bits, so one round of SHA-256 keeps it: there is nothing to guess. Beside the hash lies a second secret
by which outcomes are signed that are sent to the key's callback addresses.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from bot.domain.errors import Refused
from bot.ports import Cells, Clock
from bot.services.settings import change

CELL = "api_keys"
MOST_KEYS = 200
"""One row holds all of them, and a row of DynamoDB holds 400 KB."""

LONGEST_NAME = 60
ID_LENGTH = 10
LOOK_AGAIN = 5.0
"""Seconds between two looks for keys that are not known here: a stranger's guesses must not cost reads."""

_TOKEN = re.compile(r"imagine_([a-z2-7]{10})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """`daily_limit` is GPU-milliseconds a UTC day, None for what a person has. Times are seconds since the
    epoch; a key with `revoked_at` opens nothing.
    """

    id: str
    name: str
    digest: str = field(repr=False)
    callback_secret: str = field(repr=False)
    created_at: float
    revoked_at: float | None = None
    daily_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What is shown once: `token` goes into the Authorization header."""

    key: ApiKey
    token: str = field(repr=False)


class Keys:
    """The keys as they were at most `max_age` seconds ago: within that time a revoked key stops opening.

    Safe for any number of threads.
    """

    def __init__(self, cells: Cells, *, clock: Clock, max_age: float) -> None:
        self._cells = cells
        self._clock = clock
        self._max_age = max_age
        self._turn = threading.Lock()
        self._known: Mapping[str, ApiKey] = {}
        self._seen_at = float("-inf")

    def find(self, key_id: str) -> ApiKey | None:
        """A key that was not revoked. Raises PeerError."""
        key = self._look(self._max_age).get(key_id)
        if key is None:
            key = self._look(min(self._max_age, LOOK_AGAIN)).get(key_id)
        return None if key is None or key.revoked_at is not None else key

    def verify(self, token: str) -> ApiKey | None:
        """The key that a token is of, None for any other text. Raises PeerError."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        key = self.find(match[1])
        expected = key.digest if key is not None else _digest("")
        return key if hmac.compare_digest(_digest(match[2]), expected) else None

    @property
    def is_empty(self) -> bool:
        """Whether nobody has made a key yet. Raises PeerError."""
        return not self._look(min(self._max_age, LOOK_AGAIN))

    def _look(self, max_age: float) -> Mapping[str, ApiKey]:
        with self._turn:
            now = self._clock.now()
            if not 0 <= now - self._seen_at < max_age:
                self._known = {key.id: key for key in listed(self._cells)}
                self._seen_at = now
            return self._known


def create(cells: Cells, *, name: str, now: float, daily_limit: int | None = None) -> NewKey:
    """Make a key. Raises Refused("too_many_keys"), PeerError."""
    secret = secrets.token_urlsafe(32)
    key_id = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:ID_LENGTH]
    key = ApiKey(
        id=key_id,
        name=name[:LONGEST_NAME],
        digest=_digest(secret),
        callback_secret=f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        created_at=now,
        daily_limit=daily_limit,
    )

    def added(value: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**_with_room(value), key.id: asdict(key)}

    change(cells, CELL, added)
    return NewKey(key=key, token=f"imagine_{key_id}_{secret}")


def listed(cells: Cells) -> tuple[ApiKey, ...]:
    """Every key there is or was, oldest first. Raises PeerError."""
    cell = cells.read(CELL)
    kept = [_key(row) for row in cell.value.values()] if cell is not None else []
    return tuple(sorted(kept, key=lambda key: (key.created_at, key.id)))


def revoke(cells: Cells, key_id: str, *, now: float) -> None:
    """The key opens nothing any more; one that was revoked stays so. Raises Refused("no_such_key")."""

    def revoked(value: Mapping[str, Any]) -> Mapping[str, Any]:
        if key_id not in value:
            raise Refused("no_such_key", key=key_id)
        row = value[key_id]
        return {**value, key_id: {**row, "revoked_at": row.get("revoked_at") or now}}

    change(cells, CELL, revoked)


def _with_room(rows: Mapping[str, Any]) -> Mapping[str, Any]:
    """In a full row the key that was revoked longest ago is forgotten."""
    if len(rows) < MOST_KEYS:
        return rows
    revoked = [row for row in rows.values() if row.get("revoked_at")]
    if not revoked:
        raise Refused("too_many_keys", limit=MOST_KEYS)
    oldest = min(revoked, key=lambda row: row["revoked_at"])
    return {key_id: row for key_id, row in rows.items() if key_id != oldest["id"]}


def _key(row: Mapping[str, Any]) -> ApiKey:
    known = {each.name for each in fields(ApiKey)}
    return ApiKey(**{name: value for name, value in row.items() if name in known})


def _digest(secret: str) -> str:
    return hashlib.sha256(f"imagine api key\x00{secret}".encode()).hexdigest()
