"""What the page calls: state, messages, sending, using controls, and the live socket."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.local.slack import limits
from infra.local.slack.app import Command
from infra.local.slack.delivery import Delivered
from infra.local.slack.errors import SlackError
from infra.local.slack.interactions import ControlUse, chosen_values, escape, read_state, split_command
from infra.local.slack.json_text import read_object
from infra.local.slack.payloads import file_path
from infra.local.slack.platform import Platform
from infra.local.slack.sessions import Sessions
from infra.local.slack.workspace import Change, Channel, File, Message, User, Workspace

STATIC = Path(__file__).parent / "static"
PAGE_POLICY = (
    "default-src 'self'; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoutes:
    platform: Platform
    sessions: Sessions

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.index),
            Route("/page/state", self.state),
            Route("/page/messages", self.messages),
            Route("/page/thread", self.thread),
            Route("/page/send", self.send, methods=["POST"]),
            Route("/page/action", self.action, methods=["POST"]),
            Route("/page/dismiss", self.dismiss, methods=["POST"]),
            WebSocketRoute("/page/live", self.live),
            Route("/archives/{channel}/{permalink}", self.archive),
            Mount("/", StaticFiles(directory=STATIC, check_dir=False)),
        ]

    async def index(self, request: Request) -> Response:
        page = FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": PAGE_POLICY})
        return self.sessions.greet(request, page)

    async def archive(self, request: Request) -> Response:
        """A permalink leads to the page, which reads channel and message from the fragment."""
        channel, link = request.path_params["channel"], request.path_params["permalink"].removeprefix("p")
        return RedirectResponse(f"/#{channel}/{link[:-6]}.{link[-6:]}")

    async def state(self, request: Request) -> Response:
        """Who is here. A browser without a session (first visit, server restarted) gets one on the way."""
        me = self.sessions.user_of(request) or self.platform.workspace.people[0]
        return self.sessions.greet(request, JSONResponse(state_json(self.platform, me)))

    async def messages(self, request: Request) -> Response:
        me, channel = self._seen(request)
        if me is None or channel is None:
            return _refused("channel_not_found")
        workspace = self.platform.workspace
        shown = [m for m in workspace.messages(channel.id) if not m.is_reply and _is_for(m, me)]
        return JSONResponse({"messages": [message_json(workspace, m) for m in shown]})

    async def thread(self, request: Request) -> Response:
        me, channel = self._seen(request)
        ts, workspace = request.query_params.get("ts", ""), self.platform.workspace
        parent = workspace.find(channel.id, ts) if channel else None
        if me is None or channel is None or parent is None or not _is_for(parent, me):
            return _refused("thread_not_found")
        replies = [
            m for m in workspace.messages(channel.id) if m.is_reply and m.thread_ts == ts and _is_for(m, me)
        ]
        return JSONResponse({"messages": [message_json(workspace, m) for m in (parent, *replies)]})

    async def send(self, request: Request) -> Response:
        me, asked = await self._asked(request)
        channel = self._channel(me, asked.get("channel"))
        if me is None or channel is None:
            return _refused("channel_not_found")
        text, thread_ts = asked.get("text"), asked.get("thread_ts") or None
        if not isinstance(text, str) or not (text := text.strip()):
            return _refused("no_text")
        if len(text) > limits.POST_TEXT:
            return _refused("msg_too_long")
        if text.startswith("/"):
            return await self._command(text, me, channel, thread_ts)
        if channel.is_archived:
            return _refused("is_archived")
        if thread_ts is not None and self.platform.workspace.find(channel.id, str(thread_ts)) is None:
            return _refused("thread_not_found")
        self._say(text, me, channel, thread_ts)
        return JSONResponse({"ok": True})

    async def action(self, request: Request) -> Response:
        me, asked = await self._asked(request)
        message = self._message(me, asked)
        if me is None or message is None:
            return _refused("message_not_found")
        use = ControlUse(
            block_id=str(asked.get("block_id", "")),
            action_id=str(asked.get("action_id", "")),
            values=chosen_values(asked),
        )
        state = read_state(asked.get("state"))
        try:
            delivered = await self.platform.interactions.use_control(
                use, user=me, message=message, state=state
            )
        except SlackError as refusal:
            return _refused(refusal.code)
        warning = {} if delivered.ok else {"warning": warning_text(delivered)}
        return JSONResponse({"ok": True, **warning})

    async def dismiss(self, request: Request) -> Response:
        me, asked = await self._asked(request)
        message = self._message(me, asked)
        if message is None or message.ephemeral_to is None:
            return _refused("message_not_found")
        self.platform.workspace.delete(message)
        return JSONResponse({"ok": True})

    async def live(self, socket: WebSocket) -> None:
        """Every change this person may see, as it happens, until the page goes away."""
        me = self.sessions.user_of(socket)
        if me is None:
            await socket.close(code=1008)
            return
        await socket.accept()
        changes: asyncio.Queue[Change] = asyncio.Queue()
        unsubscribe = self.platform.workspace.subscribe(changes.put_nowait)
        pump = asyncio.ensure_future(self._pump(socket, me, changes))
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            return
        finally:
            unsubscribe()
            pump.cancel()

    async def _pump(self, socket: WebSocket, me: User, changes: asyncio.Queue[Change]) -> None:
        workspace = self.platform.workspace
        with suppress(WebSocketDisconnect):
            while True:
                change = await changes.get()
                if change.for_user in {None, me.id} and _may_see(me, workspace.channels[change.channel]):
                    await socket.send_json(change_json(workspace, change))

    async def _command(self, text: str, me: User, channel: Channel, thread_ts: str | None) -> Response:
        name, rest = split_command(text)
        command = next((c for c in self.platform.app.commands if c.command == name), None)
        if name == "/invite":
            return self._invite(channel)
        if command is None:
            return _refused(f"{name} is not a valid command. Messages that start with a “/” are commands.")
        if thread_ts is not None:
            return _refused(f"{name} is not supported in threads. Sorry!")
        delivered = await self.platform.interactions.command(command, rest, user=me, channel=channel)
        return JSONResponse({"ok": True}) if delivered.ok else _refused(failure_text(command, delivered))

    def _invite(self, channel: Channel) -> Response:
        """``/invite`` brings the bot into the channel; it is the only one who can be missing."""
        workspace = self.platform.workspace
        if workspace.bot.id not in channel.members:
            channel.members.add(workspace.bot.id)
            workspace.post(channel, user=workspace.bot, text="joined the channel", subtype="channel_join")
        return JSONResponse({"ok": True})

    def _say(self, text: str, me: User, channel: Channel, thread_ts: str | None) -> Message:
        message = self.platform.workspace.post(channel, user=me, text=escape(text), thread_ts=thread_ts)
        self.platform.interactions.told(message)
        return message

    def _seen(self, request: Request) -> tuple[User | None, Channel | None]:
        me = self.sessions.user_of(request)
        return me, self._channel(me, request.query_params.get("channel"))

    async def _asked(self, request: Request) -> tuple[User | None, dict[str, Any]]:
        try:
            asked = read_object(await request.body())
        except SlackError:
            asked = {}
        return self.sessions.user_of(request), asked

    def _message(self, me: User | None, asked: Mapping[str, Any]) -> Message | None:
        """The message that was asked about, when this person can see it."""
        channel = self._channel(me, asked.get("channel"))
        message = self.platform.workspace.find(channel.id, str(asked.get("ts", ""))) if channel else None
        return message if message is not None and me is not None and _is_for(message, me) else None

    def _channel(self, me: User | None, channel_id: Any) -> Channel | None:
        channel = self.platform.workspace.channels.get(str(channel_id))
        return channel if me is not None and channel is not None and _may_see(me, channel) else None


def failure_text(command: Command, delivered: Delivered) -> str:
    """The sentence Slack shows under the composer when a slash command fails."""
    return f'{command.command} failed with the error "{delivered.code}"'


def warning_text(delivered: Delivered) -> str:
    """What stands beside a control whose use did not reach the app."""
    return f"This did not work ({delivered.code}). Try again."


def state_json(platform: Platform, me: User) -> dict[str, Any]:
    workspace = platform.workspace
    return {
        "team": {"name": workspace.team.name},
        "me": _user_json(me),
        "users": [_user_json(user) | {"is_bot": user.is_bot} for user in workspace.users.values()],
        "bot": {"id": workspace.bot.id, "name": workspace.bot.display_name},
        "channels": [
            {"id": c.id, "name": c.name, "topic": c.topic, "is_private": c.is_private}
            for c in workspace.channels.values()
            if _may_see(me, c)
        ],
        "commands": [
            {"command": c.command, "description": c.description, "usage_hint": c.usage_hint}
            for c in platform.app.commands
        ],
    }


def message_json(workspace: Workspace, message: Message) -> dict[str, Any]:
    author = workspace.users[message.user]
    replies = [] if message.is_reply else workspace.replies(message.channel, message.ts)
    files = [workspace.files[file_id] for file_id in message.files]
    return {
        "ts": message.ts,
        "channel": message.channel,
        "thread_ts": message.thread_ts,
        "user": {
            "id": author.id,
            "name": author.display_name,
            "color": author.color,
            "is_bot": author.is_bot,
        },
        "text": message.text,
        "blocks": _page_blocks(workspace, message.blocks),
        "files": [_file_json(workspace, file) for file in files if not file.deleted],
        "edited": message.edited_ts is not None,
        "ephemeral": message.ephemeral_to is not None,
        "reply_count": len(replies),
        "latest_reply": replies[-1].ts if replies else None,
    }


def change_json(workspace: Workspace, change: Change) -> dict[str, Any]:
    body: dict[str, Any] = {"type": change.kind, "channel": change.channel, "thread_ts": change.thread_ts}
    if change.ts is not None:
        body["ts"] = change.ts
    if change.message is not None and not change.kind.endswith("deleted"):
        body["message"] = message_json(workspace, change.message)
    if change.delivery is not None:
        body["delivery"] = change.delivery
    return body


def _user_json(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "display_name": user.display_name, "color": user.color}


def _file_json(workspace: Workspace, file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype,
        "width": file.width,
        "height": file.height,
        "size": len(file.content),
        "url": file_path(workspace, file),
        "ready": file.ready,
    }


def _page_blocks(workspace: Workspace, blocks: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """The blocks with the address of each Slack file added, which only the page needs."""
    if blocks is None:
        return None
    return [_page_block(workspace, block) for block in blocks]


def _page_block(workspace: Workspace, part: dict[str, Any]) -> dict[str, Any]:
    shown = dict(part)
    if "slack_file" in part and (file := workspace.file_shown(part["slack_file"])):
        shown["page_url"] = file_path(workspace, file)
    if isinstance(part.get("accessory"), dict):
        shown["accessory"] = _page_block(workspace, part["accessory"])
    if part.get("type") == "context":
        shown["elements"] = [_page_block(workspace, element) for element in part["elements"]]
    return shown


def _is_for(message: Message, user: User) -> bool:
    return message.ephemeral_to in {None, user.id}


def _may_see(user: User, channel: Channel) -> bool:
    return user.id in channel.members or not channel.is_private


def _refused(error: str) -> Response:
    return JSONResponse({"ok": False, "error": error})
