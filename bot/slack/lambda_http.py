"""API Gateway's HTTP API events (payload format 2.0, also of function URLs), and answers in its form.

Bolt's own adapter for Lambda imports boto3 and invokes the function anew for lazy listeners; neither is
wanted here. Format: API Gateway guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.gate import MAX_BODY
from bot.slack.receiver import PLAIN, REASONS, Response

LONGEST_TEXT = (MAX_BODY + 2) // 3 * 4
"""Characters of a body of MAX_BODY bytes in base64; a plain one is shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as the gateway took it. `received_at` is seconds since the epoch, None where untold."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float | None = None


def request_of(event: object) -> Request | Response:
    """The request in an event; a refusal for one too large, or for an event of another shape.

    API Gateway joins repeated headers with commas, so a repeated signature is no signature.
    """
    if not isinstance(event, Mapping):
        return refused(400)
    try:
        http, text = event["requestContext"]["http"], event.get("body") or ""
        if len(text) > LONGEST_TEXT:
            return refused(413)
        return Request(
            method=_text(http["method"]),
            path=_text(event["rawPath"]),
            headers={_text(name): _text(value) for name, value in event["headers"].items()},
            body=base64.b64decode(text, validate=True) if event["isBase64Encoded"] else text.encode(),
            received_at=_seconds(event["requestContext"].get("timeEpoch")),
        )
    except (AttributeError, LookupError, TypeError, ValueError, binascii.Error):
        return refused(400)


def answer_of(response: Response) -> dict[str, Any]:
    """The response in the gateway's form. Bodies are text: what Slack is told is JSON or a few words."""
    return {
        "statusCode": response.status,
        "headers": dict(response.headers),
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }


def refused(status: int) -> Response:
    """A refusal in the words that the local server uses too."""
    return Response(status=status, headers=PLAIN, body=REASONS[status])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int) else None
