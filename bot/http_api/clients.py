"""Who asks: a key of ours, or an identity that API Gateway's own authorizer has established."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bot.http_api.exchange import Request
from bot.http_api.keys import ApiKey, Keys
from bot.http_api.problems import FieldError, Problem

PREFIX = "key-"
_BEARER = re.compile(r"(?i:bearer) +(\S+)")
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Auth(StrEnum):
    """Who establishes the caller's identity: this function by its key, or the gateway."""

    KEY = "key"
    AUTHORIZER = "authorizer"
    JWT = "jwt"
    IAM = "iam"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """`person` is whose jobs and quota these are. `key_id` is empty where the gateway knows the caller by
    other means than a key: then there is no secret to sign callbacks with.
    """

    person: str
    key_id: str = ""
    daily_limit: int | None = None


class Authentication(Protocol):
    """Tells who asks. Raises Problem: 401 for nobody we know, 503 while there is no key at all."""

    def __call__(self, request: Request) -> Client: ...


class ByKey:
    """`Authorization: Bearer imagine_…`, looked at here."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __call__(self, request: Request) -> Client:
        """See Authentication. Raises PeerError too."""
        match = _BEARER.fullmatch(request.headers.get("authorization", "").strip())
        key = self._keys.verify(match[1]) if match else None
        if key is not None:
            return _of_key(key)
        if self._keys.is_empty:
            raise not_configured()
        raise unknown_caller()


class ByGateway:
    """What the gateway's authorizer has found out: our own Lambda authorizer, a JWT or an IAM identity."""

    def __init__(self, auth: Auth, keys: Keys) -> None:
        self._auth = auth
        self._keys = keys

    def __call__(self, request: Request) -> Client:
        """See Authentication. A gateway without authorizer lets nobody in."""
        found = request.authorizer.get("lambda" if self._auth is Auth.AUTHORIZER else self._auth)
        client = self._client(found) if isinstance(found, Mapping) else None
        if client is None:
            raise unknown_caller()
        return client

    def _client(self, found: Mapping[str, Any]) -> Client | None:
        if self._auth is Auth.AUTHORIZER:
            key = self._keys.find(str(found.get("key", "")))
            return None if key is None else _of_key(key)
        if self._auth is Auth.JWT:
            claims = found.get("claims")
            subject = claims.get("sub") if isinstance(claims, Mapping) else None
            issuer = claims.get("iss", "") if isinstance(claims, Mapping) else ""
            return _named("jwt", f"{issuer}\x00{subject}") if subject else None
        user = str(found.get("userId") or "").split(":", 1)[0]  # a role's sessions are one caller
        return Client(person=f"iam-{user}") if _PLAIN.fullmatch(user) else None


def authentication(auth: Auth, keys: Keys) -> Authentication:
    """What the setting asks for."""
    return ByKey(keys) if auth is Auth.KEY else ByGateway(auth, keys)


def not_configured() -> Problem:
    """503: nobody has made a key yet."""
    return Problem(
        503,
        "not_configured",
        "The HTTP API is not configured yet: there is no API key.",
        fix="An admin makes one: imagine keys create --name NAME.",
        headers={"retry-after": "60"},
    )


def unknown_caller() -> Problem:
    """401, the same for every reason."""
    detail = "There is no valid API key in the Authorization header."
    fix = "Send Authorization: Bearer KEY; an admin makes keys with imagine keys create."
    return Problem(
        401,
        "not_authenticated",
        detail,
        fix=fix,
        errors=[FieldError(field="Authorization", detail=detail, fix=fix)],
        headers={"www-authenticate": 'Bearer realm="imagine"'},
    )


def _of_key(key: ApiKey) -> Client:
    return Client(person=f"{PREFIX}{key.id}", key_id=key.id, daily_limit=key.daily_limit)


def _named(kind: str, identity: str) -> Client:
    """A name for an identity that may hold anything, which is also kept out of rows and logs."""
    return Client(person=f"{kind}-{hashlib.sha256(identity.encode()).hexdigest()[:24]}")
