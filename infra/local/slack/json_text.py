"""JSON that arrives, read so that everything in it can be sent on."""

import json
from typing import Any

from infra.local.slack.errors import SlackError


def read_json(text: bytes | str) -> Any:
    """The value. Raises ``invalid_json``.

    JSON can spell half an emoji (a lone surrogate), which no text that is sent may hold: it becomes ``?``.
    """
    try:
        value = json.loads(text)
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise SlackError("invalid_json") from None


def read_object(text: bytes | str) -> dict[str, Any]:
    """The object. Raises ``invalid_json`` or ``json_not_object``."""
    value = read_json(text)
    if not isinstance(value, dict):
        raise SlackError("json_not_object")
    return value
