"""The functions behind the HTTP API's routes: the API itself, and the authorizer that may stand before it."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from bot.domain.errors import PeerError
from bot.http_api.exchange import Request, Response
from bot.http_api.generations import MAX_BODY, too_large
from bot.http_api.keys import Keys
from bot.http_api.problems import unreadable
from bot.ports import Journal

LONGEST_TEXT = (MAX_BODY + 2) // 3 * 4
"""Characters of a body of MAX_BODY bytes in base64; a plain one is shorter."""


class ApiFront:
    """HTTP API events (payload format 2.0) in, answers in the gateway's form out. Never raises.

    Format: API Gateway guide, "Create AWS Lambda proxy integrations for HTTP APIs".
    """

    def __init__(self, api: Callable[[Request], Response]) -> None:
        self._api = api

    def __call__(self, event: object, context: object) -> dict[str, Any]:
        del context
        asked = request_of(event)
        answer = asked if isinstance(asked, Response) else self._api(asked)
        return {
            "statusCode": answer.status,
            "headers": dict(answer.headers),
            "body": answer.body.decode(),
            "isBase64Encoded": False,
        }


class Authorizer:
    """A Lambda authorizer with simple responses: lets a key's owner through and tells the API its id.

    Only where the team puts it before the routes; by default the API looks at the key itself
    (docs/adr/0021-the-api-checks-its-keys.md).
    """

    def __init__(self, keys: Keys, journal: Journal) -> None:
        self._keys = keys
        self._journal = journal

    def __call__(self, event: object, context: object) -> dict[str, Any]:
        """`{"isAuthorized": …}`. When the keys cannot be read nobody is let in."""
        del context
        headers = event.get("headers") if isinstance(event, Mapping) else None
        sent = headers.get("authorization", "") if isinstance(headers, Mapping) else ""
        scheme, _, token = str(sent).strip().partition(" ")
        try:
            key = self._keys.verify(token.strip()) if scheme.lower() == "bearer" else None
        except PeerError as down:
            self._journal.event("keys_not_read", code=down.code)
            key = None
        return {"isAuthorized": key is not None, "context": {"key": key.id} if key is not None else {}}


def request_of(event: object) -> Request | Response:
    """The request in an event; a refusal for a body too large, or for an event of another shape."""
    malformed = unreadable(
        "", "This is no request of the HTTP API.", "Call it through API Gateway."
    ).response()
    if not isinstance(event, Mapping):
        return malformed
    try:
        about, text = event["requestContext"], event.get("body") or ""
        if len(text) > LONGEST_TEXT:
            return too_large().response()
        return Request(
            method=_text(about["http"]["method"]),
            path=_text(event["rawPath"]),
            query=dict(parse_qsl(_text(event.get("rawQueryString") or ""), keep_blank_values=True)),
            headers={_text(name).lower(): _text(value) for name, value in event["headers"].items()},
            body=base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode(),
            authorizer=_mapping(about.get("authorizer")),
        )
    except (AttributeError, LookupError, TypeError, ValueError, binascii.Error):
        return malformed


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
