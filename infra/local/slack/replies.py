"""Replies to an interaction: the body of a command's ack, and ``response_url`` with its five uses in thirty
minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.slack import limits
from infra.local.slack.clock import Clock
from infra.local.slack.content import Content, read_content
from infra.local.slack.errors import SlackError
from infra.local.slack.workspace import Channel, Message, User, Workspace


@dataclass(slots=True, kw_only=True)
class ReplyContext:
    """Whom a reply goes to. ``message`` is the one whose control was used; a command has none."""

    channel: Channel
    user: User
    message: Message | None
    issued_at: float = 0.0
    uses: int = field(default=0)


class Replies:
    def __init__(self, *, workspace: Workspace, bot_id: str, clock: Clock) -> None:
        self._workspace = workspace
        self._bot_id = bot_id
        self._clock = clock
        self._contexts: dict[str, ReplyContext] = {}

    def issue(self, context: ReplyContext) -> str:
        """The secret part of a new ``response_url``."""
        secret = self._workspace.ids.secret()
        context.issued_at = self._clock.now()
        self._contexts[secret] = context
        return secret

    def use(self, secret: str, fields: Mapping[str, Any]) -> None:
        """Spend one use. Raises ``invalid_url``, ``expired_url``, ``used_url``, or what the content
        deserves.
        """
        context = self._contexts.get(secret)
        if context is None:
            raise SlackError("invalid_url")
        if self._clock.now() - context.issued_at > limits.RESPONSE_URL_SECONDS:
            raise SlackError("expired_url")
        if context.uses >= limits.RESPONSE_URL_USES:
            raise SlackError("used_url")
        context.uses += 1
        self.reply(context, fields)

    def reply(self, context: ReplyContext, fields: Mapping[str, Any]) -> None:
        """Post, replace or delete, as ``response_type``, ``replace_original`` and ``delete_original`` say."""
        original = self._original(context)
        if fields.get("delete_original") and original is not None:
            self._workspace.delete(original)
            return
        content = read_content(self._workspace, fields)
        if content.is_empty:
            raise SlackError("no_text")
        if fields.get("replace_original") and original is not None:
            self._replace(original, content)
            return
        self._post(context, content, fields)

    def _original(self, context: ReplyContext) -> Message | None:
        if context.message is None:
            return None
        return self._workspace.find(context.message.channel, context.message.ts)

    def _replace(self, original: Message, content: Content) -> None:
        self._workspace.edit(
            original,
            mark_edited=False,
            text=content.text or "",
            blocks=content.blocks,
            attachments=content.attachments,
        )

    def _post(self, context: ReplyContext, content: Content, fields: Mapping[str, Any]) -> None:
        in_channel = fields.get("response_type") == "in_channel"
        self._workspace.post(
            context.channel,
            user=self._workspace.bot,
            text=content.text or "",
            bot_id=self._bot_id,
            blocks=content.blocks,
            attachments=content.attachments,
            metadata=content.metadata,
            thread_ts=fields.get("thread_ts"),
            ephemeral_to=None if in_channel else context.user.id,
        )


class Triggers:
    """``trigger_id``: good for three seconds and one use. ``views.open`` will redeem them."""

    def __init__(self, *, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._issued: dict[str, float] = {}
        self._used: set[str] = set()

    def issue(self) -> str:
        trigger = self._workspace.ids.trigger(self._clock.now())
        self._issued[trigger] = self._clock.now()
        return trigger

    def redeem(self, trigger: str) -> None:
        """Raises ``invalid_trigger_id``, ``expired_trigger_id`` or ``exchanged_trigger_id``."""
        if trigger not in self._issued:
            raise SlackError("invalid_trigger_id")
        if trigger in self._used:
            raise SlackError("exchanged_trigger_id")
        if self._clock.now() - self._issued[trigger] > limits.TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        self._used.add(trigger)
