"""Block Kit parts as plain dictionaries. Limits: Slack's Block Kit reference, 2026."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bot.slack.escape import clip, plain

MAX_BLOCKS_JSON = 13_000
"""Slack refuses with `msg_blocks_too_long` near 13,200 characters of JSON (bolt-js issue 2509)."""

MAX_SECTION = 3000
MAX_CONTEXT = 600
MAX_ALT = 2000
MAX_BUTTON = 75

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is what notifications and screen readers get; it is escaped mrkdwn."""

    text: str
    blocks: list[Json] = field(default_factory=list)

    def arguments(self) -> Json:
        """The arguments of `chat.postMessage` and `chat.update`; the latter would link names by default."""
        return {"text": self.text, "blocks": self.blocks, "link_names": False, "parse": "none"}


def size(part: Any) -> int:
    """Characters of blocks or a part of them in the longest of JSON's spellings, where é counts six."""
    return len(json.dumps(part))


def section(text: str, *, limit: int = MAX_SECTION) -> Json:
    """A paragraph that shows the text as it is."""
    return {"type": "section", "text": plain(text, limit)}


def context(*texts: str, limit: int = MAX_CONTEXT) -> Json:
    """Small print; at most ten texts."""
    return {"type": "context", "elements": [plain(text, limit) for text in texts[:10]]}


def image(file_id: str, *, alt: str, limit: int = MAX_ALT) -> Json:
    """A picture that was uploaded to Slack. `alt` is what a screen reader says instead."""
    return {"type": "image", "slack_file": {"id": file_id}, "alt_text": clip(alt, min(limit, MAX_ALT)) or "–"}


def actions(block_id: str, elements: Iterable[Json]) -> Json:
    """A row of controls."""
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


def button(label: str, *, action: str, value: str, style: str | None = None) -> Json:
    """A button; `style` is primary or danger."""
    look = {"style": style} if style else {}
    return {"type": "button", "action_id": action, "text": plain(label, MAX_BUTTON), "value": value, **look}


def select(label: str, *, action: str, options: list[tuple[str, str]], initial: int = 0) -> Json:
    """A menu of (label, value) with one chosen from the start."""
    listed = [_option(text, value) for text, value in options]
    return {
        "type": "static_select",
        "action_id": action,
        "placeholder": plain(label, 150),
        "options": listed,
        "initial_option": listed[initial],
    }


def overflow(*, action: str, options: list[tuple[str, str]]) -> Json:
    """The "…" menu; at most five (label, value)."""
    listed = [_option(text, value) for text, value in options]
    return {"type": "overflow", "action_id": action, "options": listed}


def _option(label: str, value: str) -> Json:
    return {"text": plain(label, MAX_BUTTON), "value": value}
