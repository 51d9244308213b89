"""The one error of this package: a refusal with Slack's own error string."""

from collections.abc import Sequence
from typing import Any


class SlackError(Exception):
    """A refusal as the Web API words it.

    ``code`` is Slack's error string. ``messages`` are the validation sentences that Slack puts in
    ``response_metadata.messages`` (and, for blocks, in ``errors``).
    """

    def __init__(self, code: str, messages: Sequence[str] = (), **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.messages = tuple(messages)
        self.extra = extra

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": False, "error": self.code, **self.extra}
        if self.messages:
            body["errors"] = list(self.messages)
            body["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return body
