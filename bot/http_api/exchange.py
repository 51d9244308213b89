"""One request and its answer, whichever server took it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
PLAIN_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Names of headers are in small letters; of a parameter that is repeated the last value counts.

    `authorizer` is what API Gateway's authorizer found out (`requestContext.authorizer`), empty elsewhere: no
    client can write it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    authorizer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def json_response(
    status: int, document: object, *, headers: Mapping[str, str] | None = None, content_type: str = JSON
) -> Response:
    """A document as JSON in ASCII, so that half a surrogate pair can be told too."""
    return Response(
        status=status,
        headers={"content-type": content_type, **PLAIN_HEADERS, **(headers or {})},
        body=json.dumps(document).encode(),
    )
