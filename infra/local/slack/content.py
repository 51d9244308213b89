"""What a message says, read from a request and checked: text, blocks, attachments, metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.slack import limits
from infra.local.slack.blockcheck import blocks_size, check_blocks
from infra.local.slack.errors import SlackError
from infra.local.slack.files import is_usable_in_blocks
from infra.local.slack.json_text import read_json
from infra.local.slack.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """``None`` means that the request did not speak of it; an empty list means "none of these"."""

    text: str | None
    blocks: list[dict[str, Any]] | None
    attachments: list[dict[str, Any]] | None
    metadata: dict[str, Any] | None

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.blocks or self.attachments)


def read_content(workspace: Workspace, fields: Mapping[str, Any]) -> Content:
    """Raises the ``SlackError`` that Slack answers to malformed blocks, attachments or metadata."""
    text = fields.get("text")
    return Content(
        text=None if text is None else str(text),
        blocks=read_blocks(workspace, fields.get("blocks")),
        attachments=_attachments(fields.get("attachments")),
        metadata=_metadata(fields.get("metadata")),
    )


def read_blocks(workspace: Workspace, value: Any) -> list[dict[str, Any]] | None:
    blocks = _decoded(value, otherwise="invalid_blocks_format")
    if blocks is None:
        return None
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackError("invalid_blocks_format")
    problems = check_blocks(blocks, file_is_usable=lambda shown: is_usable_in_blocks(workspace, shown))
    if problems:
        raise SlackError("invalid_blocks", problems)
    if blocks_size(blocks) > limits.BLOCKS_JSON_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    return blocks


def _attachments(value: Any) -> list[dict[str, Any]] | None:
    attachments = _decoded(value, otherwise="invalid_attachments")
    if attachments is None:
        return None
    if not isinstance(attachments, list):
        raise SlackError("invalid_attachments")
    if len(attachments) > limits.ATTACHMENTS_PER_MESSAGE:
        raise SlackError("too_many_attachments")
    return attachments


def _metadata(value: Any) -> dict[str, Any] | None:
    metadata = _decoded(value, otherwise="invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    if metadata and not (
        isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata).encode()) > limits.METADATA_JSON_BYTES:
        raise SlackError("metadata_too_large")
    return metadata


def _decoded(value: Any, *, otherwise: str) -> Any:
    """A complex argument comes as JSON text in a form and as itself in a JSON body."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except SlackError:
        raise SlackError(otherwise) from None
