"""The Web API: the methods the bot uses, by name. A method that is not in ``METHODS`` is ``unknown_method``.

A handler gets a ``Call`` and returns the fields of a good answer, or raises ``SlackError``. Tokens, scopes,
rate
limits and required arguments are checked from the table before it runs.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from infra.local.slack import limits
from infra.local.slack.content import Content, read_blocks, read_content
from infra.local.slack.errors import SlackError
from infra.local.slack.files import Share
from infra.local.slack.json_text import read_json
from infra.local.slack.payloads import channel_payload, file_payload, message_payload, user_payload
from infra.local.slack.platform import Platform
from infra.local.slack.rate_limits import Tier
from infra.local.slack.workspace import Channel, File, Message, User, Workspace

TIMESTAMP = re.compile(r"\d{1,10}\.\d{6}")


class RateLimited(Exception):
    """The call must wait; carries the seconds of ``Retry-After``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: its arguments, and the platform it acts on."""

    platform: Platform
    args: Mapping[str, Any]

    @property
    def workspace(self) -> Workspace:
        return self.platform.workspace

    @property
    def bot(self) -> User:
        return self.platform.workspace.bot

    def text(self, name: str) -> str:
        value = self.args.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        return str(self.args.get(name, "")).lower() in {"1", "true"}

    def message(self, message: Message, *, with_metadata: bool = False) -> dict[str, Any]:
        platform = self.platform
        return message_payload(
            self.workspace, message, app=platform.app, base_url=platform.base_url, with_metadata=with_metadata
        )

    def file(self, file: File) -> dict[str, Any]:
        return file_payload(self.workspace, file, base_url=self.platform.base_url)

    def need(self, scope: str) -> None:
        """Raises ``missing_scope`` when the manifest does not grant this scope."""
        require_scopes(self.platform, (scope,))


Handler = Callable[[Call], dict[str, Any]]


class Token(StrEnum):
    BOT = "bot"
    APP = "app"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    handle: Handler
    tier: Tier
    scopes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    token: Token = Token.BOT


def answer(platform: Platform, name: str, args: Mapping[str, Any], *, token: str | None) -> dict[str, Any]:
    """The JSON that Slack answers. Raises ``RateLimited`` where Slack answers 429."""
    try:
        method = _method(name)
        _check_token(platform, method, token)
        require_scopes(platform, method.scopes)
        _check_rate(platform, name, method, args)
        _check_required(method, args)
        return {"ok": True, **method.handle(Call(platform=platform, args=args))}
    except SlackError as refusal:
        return refusal.to_json()


def _method(name: str) -> Method:
    if name not in METHODS:
        raise SlackError("unknown_method", req_method=name)
    return METHODS[name]


def require_scopes(platform: Platform, scopes: tuple[str, ...]) -> None:
    """Raises ``missing_scope`` with what is needed and what the manifest provides."""
    if missing := [scope for scope in scopes if scope not in platform.app.scopes]:
        raise SlackError("missing_scope", needed=",".join(missing), provided=",".join(platform.app.scopes))


def _check_token(platform: Platform, method: Method, token: str | None) -> None:
    if method.token is Token.NONE:
        return
    if not token:
        raise SlackError("not_authed")
    if token not in {platform.app.bot_token, platform.app.app_token}:
        raise SlackError("invalid_auth")
    wanted = platform.app.app_token if method.token is Token.APP else platform.app.bot_token
    if token != wanted:
        raise SlackError("not_allowed_token_type")


def _check_rate(platform: Platform, name: str, method: Method, args: Mapping[str, Any]) -> None:
    seconds = platform.rate_limits.seconds_to_wait(name, method.tier, str(args.get("channel", "")))
    if seconds:
        raise RateLimited(seconds)


def _check_required(method: Method, args: Mapping[str, Any]) -> None:
    if missing := [name for name in method.required if args.get(name) is None or args.get(name) == ""]:
        raise SlackError("invalid_arguments", [f"missing required field: {name}" for name in missing])


# auth, apps


def api_test(call: Call) -> dict[str, Any]:
    if error := call.text("error"):
        raise SlackError(error, args=dict(call.args))
    return {"args": dict(call.args)}


def auth_test(call: Call) -> dict[str, Any]:
    return {
        "url": f"{call.platform.base_url}/",
        "team": call.workspace.team.name,
        "team_id": call.workspace.team.id,
        "user": call.bot.name,
        "user_id": call.bot.id,
        "bot_id": call.platform.app.bot_id,
        "is_enterprise_install": False,
    }


def open_connection(call: Call) -> dict[str, Any]:
    if not call.platform.app.uses_socket_mode:
        raise SlackError("forbidden_team")
    ticket = call.platform.sockets.issue_ticket()
    host = call.platform.base_url.removeprefix("http://")
    return {"url": f"ws://{host}/link/?ticket={ticket}&app_id={call.platform.app.id}"}


# chat


def post_message(call: Call) -> dict[str, Any]:
    channel = _channel_to_post_in(call)
    content = _content(call)
    thread_ts = _thread(call, channel)
    message = call.workspace.post(
        channel,
        user=call.bot,
        text=(content.text or "")[: limits.POST_TEXT],
        bot_id=call.platform.app.bot_id,
        blocks=content.blocks,
        attachments=content.attachments,
        metadata=content.metadata or None,
        thread_ts=thread_ts,
    )
    return {"channel": channel.id, "ts": message.ts, "message": call.message(message, with_metadata=True)}


def post_ephemeral(call: Call) -> dict[str, Any]:
    channel = _visible_channel(call, call.workspace.channel_named(call.text("channel")))
    if call.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    if call.text("user") not in channel.members:
        raise SlackError("user_not_in_channel")
    content = _content(call)
    if len(content.text or "") > limits.POST_TEXT:
        raise SlackError("msg_too_long")
    message = call.workspace.post(
        channel,
        user=call.bot,
        text=content.text or "",
        bot_id=call.platform.app.bot_id,
        blocks=content.blocks,
        attachments=content.attachments,
        thread_ts=_thread(call, channel),
        ephemeral_to=call.text("user"),
    )
    return {"message_ts": message.ts}


def update_message(call: Call) -> dict[str, Any]:
    channel = _channel_by_id(call)
    message = _own_message(call, channel, otherwise="cant_update_message")
    if channel.is_archived:
        raise SlackError("is_inactive")
    content = read_content(call.workspace, call.args)
    if content.is_empty and content.blocks is None and not content.metadata:
        raise SlackError("no_text")
    if len(content.text or "") > limits.UPDATE_TEXT:
        raise SlackError("msg_too_long")
    call.workspace.edit(message, mark_edited=_shows_edited(content), **_updated_fields(message, content))
    shown = call.message(message, with_metadata=True)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


def _shows_edited(content: Content) -> bool:
    """Slack shows "(edited)" for a text update and not for one with blocks."""
    return bool(content.text) and not content.blocks


def _updated_fields(message: Message, content: Content) -> dict[str, Any]:
    """Text without blocks removes the blocks; blocks without text keep the text; the rest stays unless
    named.
    """
    blocks = content.blocks if content.blocks is not None or content.text is not None else message.blocks
    return {
        "text": message.text if content.text is None else content.text,
        "blocks": blocks,
        "attachments": message.attachments if content.attachments is None else content.attachments or None,
        "metadata": message.metadata if content.metadata is None else content.metadata or None,
    }


def delete_message(call: Call) -> dict[str, Any]:
    channel = _channel_by_id(call)
    message = _own_message(call, channel, otherwise="cant_delete_message")
    call.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(call: Call) -> dict[str, Any]:
    channel = _channel_by_id(call)
    message = call.workspace.find(channel.id, call.text("message_ts"))
    if message is None or message.ephemeral_to is not None:
        raise SlackError("message_not_found")
    link = f"{call.platform.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    thread = f"?thread_ts={message.thread_ts}&cid={channel.id}" if message.is_reply else ""
    return {"channel": channel.id, "permalink": link + thread}


def _content(call: Call) -> Content:
    content = read_content(call.workspace, call.args)
    if content.is_empty:
        raise SlackError("no_text")
    return content


def _channel_to_post_in(call: Call) -> Channel:
    """The channel, when the bot may post there; a person's id means their direct conversation."""
    target = call.text("channel")
    if target in call.workspace.users and target != call.bot.id:
        return call.workspace.direct_channel(call.workspace.users[target])
    channel = _visible_channel(call, call.workspace.channel_named(target))
    if channel.is_archived:
        raise SlackError("is_archived")
    if call.bot.id not in channel.members and "chat:write.public" not in call.platform.app.scopes:
        raise SlackError("not_in_channel")
    return channel


def _visible_channel(call: Call, channel: Channel) -> Channel:
    if channel.is_private and call.bot.id not in channel.members:
        raise SlackError("channel_not_found")
    return channel


def _channel_by_id(call: Call) -> Channel:
    channel = call.workspace.channels.get(call.text("channel"))
    if channel is None:
        raise SlackError("channel_not_found")
    return _visible_channel(call, channel)


def _own_message(call: Call, channel: Channel, *, otherwise: str) -> Message:
    message = call.workspace.find(channel.id, call.text("ts"))
    if message is None or message.ephemeral_to is not None or message.subtype == "tombstone":
        raise SlackError("message_not_found")
    if message.bot_id != call.platform.app.bot_id:
        raise SlackError(otherwise)
    return message


def _thread(call: Call, channel: Channel) -> str | None:
    """The parent's ``ts``. Slack takes a reply's and then loses the message from view; this refuses it."""
    ts = call.text("thread_ts")
    if not ts:
        return None
    if not TIMESTAMP.fullmatch(ts):
        raise SlackError("invalid_thread_ts")
    parent = call.workspace.find(channel.id, ts)
    if parent is None or parent.ephemeral_to is not None:
        raise SlackError("thread_not_found")
    if parent.is_reply:
        raise SlackError("cannot_reply_to_message")
    return ts


# conversations, users


def open_conversation(call: Call) -> dict[str, Any]:
    if channel_id := call.text("channel"):
        channel = call.workspace.channels.get(channel_id)
        if channel is None or not channel.is_im:
            raise SlackError("channel_not_found")
        return {"channel": {"id": channel.id}}
    names = [name for name in call.text("users").split(",") if name]
    if not names:
        raise SlackError("users_list_not_supplied")
    if len(names) > 1:
        raise SlackError("method_not_supported_for_channel_type")
    user = call.workspace.users.get(names[0])
    if user is None or user.is_bot:
        raise SlackError("user_not_found")
    return {"channel": {"id": call.workspace.direct_channel(user).id}}


def join_conversation(call: Call) -> dict[str, Any]:
    channel = _channel_by_id(call)
    if channel.is_im or channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise SlackError("is_archived")
    channel.members.add(call.bot.id)
    return {"channel": channel_payload(call.workspace, channel)}


def conversation_info(call: Call) -> dict[str, Any]:
    channel = _channel_by_id(call)
    call.need(f"{_kind(channel)}:read")
    return {"channel": channel_payload(call.workspace, channel)}


def history(call: Call) -> dict[str, Any]:
    channel = _readable_channel(call)
    found = [m for m in reversed(call.workspace.top_level(channel.id)) if _in_window(call, m)]
    return _page(call, found)


def replies(call: Call) -> dict[str, Any]:
    channel = _readable_channel(call)
    parent = call.workspace.find(channel.id, call.text("ts"))
    if parent is None or parent.ephemeral_to is not None:
        raise SlackError("thread_not_found")
    found = [m for m in call.workspace.replies(channel.id, parent.ts) if _in_window(call, m)]
    return _page(call, [parent, *found])


def user_info(call: Call) -> dict[str, Any]:
    user = call.workspace.users.get(call.text("user"))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user_payload(call.workspace, user)}


def _kind(channel: Channel) -> str:
    return "im" if channel.is_im else "groups" if channel.is_private else "channels"


def _readable_channel(call: Call) -> Channel:
    channel = _channel_by_id(call)
    call.need(f"{_kind(channel)}:history")
    if call.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _in_window(call: Call, message: Message) -> bool:
    oldest, latest = _timestamp(call, "oldest"), _timestamp(call, "latest")
    ts = float(message.ts)
    if call.flag("inclusive"):
        return (oldest is None or ts >= oldest) and (latest is None or ts <= latest)
    return (oldest is None or ts > oldest) and (latest is None or ts < latest)


def _timestamp(call: Call, name: str) -> float | None:
    value = call.text(name)
    try:
        return float(value) if value else None
    except ValueError:
        raise SlackError(f"invalid_ts_{name}") from None


def _page(call: Call, found: list[Message]) -> dict[str, Any]:
    start = _cursor_position(call.text("cursor"))
    limit = _limit(call)
    shown, more = found[start : start + limit], len(found) > start + limit
    messages = [call.message(m, with_metadata=call.flag("include_all_metadata")) for m in shown]
    page: dict[str, Any] = {"messages": messages, "has_more": more}
    if more:
        cursor = base64.b64encode(f"position:{start + limit}".encode()).decode()
        page["response_metadata"] = {"next_cursor": cursor}
    return page


def _limit(call: Call) -> int:
    value = call.text("limit") or "100"
    if not value.isdecimal() or int(value) < 1:
        raise SlackError("invalid_limit")
    return min(int(value), 999)


def _cursor_position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("position:"))
    except (binascii.Error, ValueError):
        raise SlackError("invalid_cursor") from None


# files


def get_upload_url(call: Call) -> dict[str, Any]:
    length = _length(call)
    if len(call.text("alt_txt")) > limits.UPLOAD_ALT_TEXT:
        raise SlackError("alt_txt_too_large")
    secret, file_id = call.platform.uploads.begin(
        name=call.text("filename"), length=length, has_alt_txt=bool(call.text("alt_txt"))
    )
    return {"upload_url": f"{call.platform.base_url}/upload/v1/{secret}", "file_id": file_id}


def _length(call: Call) -> int:
    try:
        length = int(call.text("length"))
    except ValueError:
        raise SlackError("invalid_arguments", ["must provide an integer [json-pointer:/length]"]) from None
    if length <= 0:
        raise SlackError("missing_argument")
    return length


def complete_upload(call: Call) -> dict[str, Any]:
    titles = _titles(call.args.get("files"))
    shares = [_share(call, _channel_to_upload_in(call, name)) for name in _upload_channels(call)]
    files = call.platform.uploads.complete(titles, user=call.bot, shares=shares)
    return {"files": [call.file(file) for file in files]}


def _titles(value: Any) -> dict[str, str | None]:
    try:
        entries = read_json(value) if isinstance(value, str) else value
    except SlackError:
        entries = None
    if not isinstance(entries, list) or not entries:
        raise SlackError("invalid_arguments", ["must provide an array [json-pointer:/files]"])
    if not all(isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in entries):
        raise SlackError("invalid_arguments", ["missing required field: id [json-pointer:/files]"])
    return {entry["id"]: entry.get("title") for entry in entries}


def _upload_channels(call: Call) -> list[str]:
    names = [name for name in (call.text("channel_id") or call.text("channels")).split(",") if name]
    if call.text("thread_ts") and len(names) != 1:
        raise SlackError("invalid_arguments", ["thread_ts needs exactly one channel"])
    return names


def _channel_to_upload_in(call: Call, channel_id: str) -> Channel:
    channel = call.workspace.channels.get(channel_id)
    if channel is None:
        raise SlackError("channel_not_found")
    _visible_channel(call, channel)
    if call.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _share(call: Call, channel: Channel) -> Share:
    comment = call.text("initial_comment")
    blocks = None if comment else read_blocks(call.workspace, call.args.get("blocks"))
    if any(block["type"] == "markdown" for block in blocks or []):
        raise SlackError("internal_error")
    return Share(channel=channel, thread_ts=_thread(call, channel), text=comment, blocks=blocks)


def file_info(call: Call) -> dict[str, Any]:
    return {"file": call.file(_file(call)), "comments": [], "response_metadata": {"next_cursor": ""}}


def delete_file(call: Call) -> dict[str, Any]:
    file = _file(call)
    if file.user != call.bot.id:
        raise SlackError("cant_delete_file")
    call.platform.uploads.delete(file)
    return {}


def _file(call: Call) -> File:
    file = call.workspace.files.get(call.text("file"))
    if file is None:
        raise SlackError("file_not_found")
    if file.deleted:
        raise SlackError("file_deleted")
    return file


_CHAT_WRITE = ("chat:write",)

METHODS: dict[str, Method] = {
    "api.test": Method(handle=api_test, tier=Tier.FOUR, token=Token.NONE),
    "apps.connections.open": Method(handle=open_connection, tier=Tier.THREE, token=Token.APP),
    "auth.test": Method(handle=auth_test, tier=Tier.SPECIAL),
    "chat.delete": Method(
        handle=delete_message, tier=Tier.THREE, scopes=_CHAT_WRITE, required=("channel", "ts")
    ),
    "chat.getPermalink": Method(handle=get_permalink, tier=Tier.SPECIAL, required=("channel", "message_ts")),
    "chat.postEphemeral": Method(
        handle=post_ephemeral, tier=Tier.FOUR, scopes=_CHAT_WRITE, required=("channel", "user")
    ),
    "chat.postMessage": Method(
        handle=post_message, tier=Tier.POSTING, scopes=_CHAT_WRITE, required=("channel",)
    ),
    "chat.update": Method(
        handle=update_message, tier=Tier.THREE, scopes=_CHAT_WRITE, required=("channel", "ts")
    ),
    "conversations.history": Method(handle=history, tier=Tier.THREE, required=("channel",)),
    "conversations.info": Method(handle=conversation_info, tier=Tier.THREE, required=("channel",)),
    "conversations.join": Method(
        handle=join_conversation, tier=Tier.THREE, scopes=("channels:join",), required=("channel",)
    ),
    "conversations.open": Method(handle=open_conversation, tier=Tier.THREE, scopes=("im:write",)),
    "conversations.replies": Method(handle=replies, tier=Tier.THREE, required=("channel", "ts")),
    "files.completeUploadExternal": Method(
        handle=complete_upload, tier=Tier.FOUR, scopes=("files:write",), required=("files",)
    ),
    "files.delete": Method(handle=delete_file, tier=Tier.THREE, scopes=("files:write",), required=("file",)),
    "files.getUploadURLExternal": Method(
        handle=get_upload_url, tier=Tier.FOUR, scopes=("files:write",), required=("filename", "length")
    ),
    "files.info": Method(handle=file_info, tier=Tier.FOUR, scopes=("files:read",), required=("file",)),
    "users.info": Method(handle=user_info, tier=Tier.FOUR, scopes=("users:read",), required=("user",)),
}
