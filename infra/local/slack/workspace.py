"""The workspace's state: people, channels, messages. Single-threaded; every change is announced to listeners.

Nothing here decides who may do what: ``web_api``, ``response_urls`` and ``page_routes`` check first and then
call in.
"""

import itertools
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from infra.local.slack.clock import Clock
from infra.local.slack.errors import SlackError

ChangeKind = Literal[
    "message",
    "changed",
    "deleted",
    "ephemeral",
    "ephemeral_changed",
    "ephemeral_deleted",
    "files",
    "delivery",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    id: str
    name: str
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: str
    name: str
    display_name: str
    color: str
    is_bot: bool = False


@dataclass(slots=True, kw_only=True)
class Channel:
    id: str
    name: str
    topic: str = ""
    is_private: bool = False
    is_im: bool = False
    is_archived: bool = False
    members: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Message:
    """One message. ``ephemeral_to`` names the only person who sees it; such a message is in no history."""

    ts: str
    channel: str
    user: str
    text: str
    bot_id: str | None = None
    thread_ts: str | None = None
    blocks: list[dict[str, Any]] | None = None
    attachments: list[dict[str, Any]] | None = None
    files: list[str] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    subtype: str | None = None
    edited_ts: str | None = None
    ephemeral_to: str | None = None

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass(slots=True, kw_only=True)
class File:
    """An uploaded file. Until ``ready`` its type and shares read as empty, as Slack's do while it works."""

    id: str
    user: str
    name: str
    title: str
    content: bytes
    created: int
    mimetype: str
    filetype: str
    width: int | None
    height: int | None
    ready: bool = False
    deleted: bool = False
    shares: list[Message] = field(default_factory=list)
    shown_in: set[str] = field(default_factory=set)
    """Channels whose messages show the file in an image block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something the page shows: a message as it now is, or the ``delivery`` of an interaction to the bot."""

    kind: ChangeKind
    channel: str
    ts: str | None = None
    thread_ts: str | None = None
    message: Message | None = None
    delivery: dict[str, Any] | None = None
    for_user: str | None = None


class Ids:
    """Slack-shaped identifiers, counted up so that a run repeats; secrets are random."""

    def __init__(self, seed: int | None = None) -> None:
        self._count = itertools.count(1)
        self._random = random.Random(seed)  # noqa: S311 - names, not secrets; repeatable when seeded

    def next(self, prefix: str) -> str:
        return f"{prefix}{next(self._count):010d}"

    def block(self) -> str:
        return "".join(self._random.choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=5))

    def trigger(self, now: float) -> str:
        return f"{int(now * 1000)}.{next(self._count)}.{self._random.getrandbits(128):032x}"

    def secret(self) -> str:
        return secrets.token_urlsafe(18)


class Workspace:
    """Everything in the team, by id."""

    def __init__(
        self, *, team: Team, users: list[User], channels: list[Channel], bot: User, clock: Clock, ids: Ids
    ) -> None:
        self.team = team
        self.bot = bot
        self.users = {user.id: user for user in [*users, bot]}
        self.channels = {channel.id: channel for channel in channels}
        self.files: dict[str, File] = {}
        self.clock = clock
        self.ids = ids
        self._messages: dict[str, dict[str, Message]] = {channel.id: {} for channel in channels}
        self._last_microsecond = 0
        self._listeners: list[Callable[[Change], None]] = []

    # Reading

    @property
    def people(self) -> list[User]:
        return [user for user in self.users.values() if not user.is_bot]

    def channel_named(self, name: str) -> Channel:
        """The channel with this id or name (with or without ``#``). Raises ``channel_not_found``."""
        if channel := self.channels.get(name):
            return channel
        bare = name.removeprefix("#")
        for channel in self.channels.values():
            if channel.name == bare and not channel.is_im:
                return channel
        raise SlackError("channel_not_found")

    def messages(self, channel_id: str) -> list[Message]:
        """Every message of the channel, replies and ephemerals included, oldest first."""
        return list(self._messages.get(channel_id, {}).values())

    def find(self, channel_id: str, ts: str) -> Message | None:
        return self._messages.get(channel_id, {}).get(ts)

    def top_level(self, channel_id: str) -> list[Message]:
        return [m for m in self.messages(channel_id) if not m.is_reply and m.ephemeral_to is None]

    def replies(self, channel_id: str, ts: str) -> list[Message]:
        return [
            m
            for m in self.messages(channel_id)
            if m.is_reply and m.thread_ts == ts and m.ephemeral_to is None
        ]

    def all_messages(self) -> Iterator[Message]:
        for messages in self._messages.values():
            yield from messages.values()

    # Changing

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` after every change; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def announce(self, change: Change) -> None:
        for listener in list(self._listeners):
            listener(change)

    def next_ts(self) -> str:
        """A message timestamp: the time in microseconds, made unique, as ``seconds.microseconds``."""
        self._last_microsecond = max(int(self.clock.now() * 1_000_000), self._last_microsecond + 1)
        seconds, micro = divmod(self._last_microsecond, 1_000_000)
        return f"{seconds}.{micro:06d}"

    def post(self, channel: Channel, *, user: User, text: str, **rest: Any) -> Message:
        """Add a message (fields as in ``Message``) and announce it."""
        message = Message(ts=self.next_ts(), channel=channel.id, user=user.id, text=text, **rest)
        message.blocks = self.with_ids(message.blocks)
        self._messages[channel.id][message.ts] = message
        self._note_shown_files(message)
        self._announce_message("message" if message.ephemeral_to is None else "ephemeral", message)
        self._announce_thread(message)
        return message

    def edit(self, message: Message, *, mark_edited: bool, **fields: Any) -> None:
        """Replace fields of a message. ``mark_edited`` sets the "(edited)" mark that people see."""
        for name, value in fields.items():
            setattr(message, name, value)
        message.blocks = self.with_ids(message.blocks)
        if mark_edited:
            message.edited_ts = self.next_ts()
        self._note_shown_files(message)
        self._announce_message("changed" if message.ephemeral_to is None else "ephemeral_changed", message)

    def delete(self, message: Message) -> None:
        """Remove a message; the parent of a thread leaves a tombstone so that its replies stay reachable."""
        if self.replies(message.channel, message.ts):
            self.edit(
                message,
                mark_edited=False,
                text="This message was deleted.",
                subtype="tombstone",
                blocks=None,
                attachments=None,
                files=[],
                metadata=None,
            )
            return
        del self._messages[message.channel][message.ts]
        self._announce_message("deleted" if message.ephemeral_to is None else "ephemeral_deleted", message)
        self._announce_thread(message)

    def add_channel(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        self._messages[channel.id] = {}
        return channel

    def direct_channel(self, user: User) -> Channel:
        """The direct conversation between this person and the bot, opened when it does not exist."""
        members = {user.id, self.bot.id}
        for channel in self.channels.values():
            if channel.is_im and channel.members == members:
                return channel
        return self.add_channel(
            Channel(id=self.ids.next("D"), name=self.bot.name, is_private=True, is_im=True, members=members)
        )

    def files_changed(self, file: File) -> None:
        """Announce that a file became ready or went away to every channel that shows it."""
        for channel in {message.channel for message in file.shares} | file.shown_in:
            self.announce(Change(kind="files", channel=channel))

    def with_ids(self, blocks: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        """The blocks with the ids that Slack fills in where the app left them out."""
        if not blocks:
            return None
        return [self._with_ids(block) for block in blocks]

    def _with_ids(self, block: dict[str, Any]) -> dict[str, Any]:
        filled = {**block, "block_id": block.get("block_id") or self.ids.block()}
        if block["type"] == "actions":
            filled["elements"] = [self._with_action_id(element) for element in block["elements"]]
        if block["type"] == "section" and block.get("accessory", {}).get("type", "image") != "image":
            filled["accessory"] = self._with_action_id(block["accessory"])
        return filled

    def _with_action_id(self, element: dict[str, Any]) -> dict[str, Any]:
        return {**element, "action_id": element.get("action_id") or self.ids.block()}

    def _note_shown_files(self, message: Message) -> None:
        for shown in slack_files(message.blocks):
            if file := self.file_shown(shown):
                file.shown_in.add(message.channel)

    def file_shown(self, slack_file: dict[str, Any]) -> File | None:
        """The file that a ``slack_file`` object names by id, or by its private or permanent address."""
        if "id" in slack_file:
            return self.files.get(slack_file["id"])
        address = str(slack_file.get("url", ""))
        return next((file for file in self.files.values() if file.id in address), None)

    def _announce_thread(self, reply: Message) -> None:
        """A reply changes what its parent shows: the count and the time of the latest one."""
        if not reply.is_reply or reply.ephemeral_to is not None:
            return
        if parent := self.find(reply.channel, reply.thread_ts or ""):
            self._announce_message("changed", parent)

    def _announce_message(self, kind: ChangeKind, message: Message) -> None:
        self.announce(
            Change(
                kind=kind,
                channel=message.channel,
                ts=message.ts,
                thread_ts=message.thread_ts,
                message=message,
                for_user=message.ephemeral_to,
            )
        )


def slack_files(blocks: list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
    """Every ``slack_file`` object in the blocks."""
    for block in blocks or []:
        inner = [block, block.get("accessory"), *block.get("elements", [])]
        yield from (part["slack_file"] for part in inner if isinstance(part, dict) and "slack_file" in part)


def default_workspace(clock: Clock, ids: Ids) -> Workspace:
    """Two people, four channels: the bot is in ``pictures`` and ``general``, not in ``random`` or the
    private one.
    """
    you = User(id="U0000000001", name="you", display_name="You", color="#2f6f4f")
    robin = User(id="U0000000002", name="robin", display_name="Robin", color="#8a4f9e")
    bot = User(id="U0000000100", name="imagine", display_name="Imagine", color="#c2571a", is_bot=True)
    people, everyone = {you.id, robin.id}, {you.id, robin.id, bot.id}
    return Workspace(
        team=Team(id="T0000000001", name="Local workspace", domain="local"),
        users=[you, robin],
        bot=bot,
        channels=[
            Channel(
                id="C0000000001", name="pictures", topic="Type /imagine and a prompt", members=set(everyone)
            ),
            Channel(id="C0000000002", name="general", topic="Everyone is here", members=set(everyone)),
            Channel(id="C0000000003", name="random", topic="The bot is not in here", members=set(people)),
            Channel(
                id="C0000000004",
                name="studio",
                topic="Private; the bot is not in here",
                is_private=True,
                members=set(people),
            ),
        ],
        clock=clock,
        ids=ids,
    )
