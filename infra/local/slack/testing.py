"""A local Slack for tests: the real server on a free loopback port, and the hands and eyes of a person in
front of it.

with LocalSlack() as slack:
    slack.connect_bot("http://127.0.0.1:3001/slack/events")
    assert slack.command("/imagine a red fox").ok
    (card,) = slack.wait_for(lambda: slack.messages("pictures"))
    slack.click(card, "reroll")
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import httpx

from infra.local.slack.clock import Clock, ManualClock
from infra.local.slack.delivery import Delivered
from infra.local.slack.faults import Faults
from infra.local.slack.interactions import ControlUse, State, interactive_elements, split_command
from infra.local.slack.page_routes import message_json
from infra.local.slack.platform import Platform
from infra.local.slack.server import LocalServer, Settings, build_server
from infra.local.slack.traffic import Traffic
from infra.local.slack.workspace import Message, User
from infra.slack_manifest import manifest as default_manifest

Found = TypeVar("Found")
UNHURRIED = 60.0
"""Seconds to wait for what comes at once unless the machine is very busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message as a person saw it at one moment; ``json`` is what the page got."""

    ts: str
    channel: str
    thread_ts: str | None
    text: str
    blocks: list[dict[str, Any]]
    files: list[dict[str, Any]]
    ephemeral: bool
    edited: bool
    json: Mapping[str, Any] = field(repr=False)

    @property
    def words(self) -> str:
        """Everything one can read in it: the text of its blocks, or its plain text where it has none."""
        return "\n".join(_texts(self.blocks)) if self.blocks else self.text

    @property
    def controls(self) -> dict[str, dict[str, Any]]:
        """Its buttons and menus by action id."""
        return {element["action_id"]: element for _, element in interactive_elements(self.blocks)}

    def block_of(self, action_id: str) -> str:
        """The block that holds this control. Raises ``LookupError`` with those there are."""
        for block_id, element in interactive_elements(self.blocks):
            if element["action_id"] == action_id:
                return block_id
        raise LookupError(f"no control {action_id!r}, only {sorted(self.controls)}")


class ThreadedBot(httpx.AsyncBaseTransport):
    """Carries requests to a plain function instead of a socket; it runs in a thread and may call the local
    Slack.
    """

    def __init__(self, handle: Callable[[httpx.Request], httpx.Response]) -> None:
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await asyncio.to_thread(self._handle, request)


class LocalSlack:
    """A workspace running in a thread. Rate limits are off and ids repeat, unless asked otherwise.

    The bot has Slack's three seconds to answer on a ``clock`` that is given. On the wall clock it has
    ``UNHURRIED``: a busy machine is no late bot (``faults.ack_seconds``).

    ``bot_transport`` (such as ``ThreadedBot``) replaces the network on the way to the bot.
    """

    def __init__(
        self,
        *,
        manifest: dict[str, Any] | None = None,
        clock: Clock | None = None,
        enforce_rate_limits: bool = False,
        bot_transport: httpx.AsyncBaseTransport | None = None,
        port: int = 0,
        seed: int = 1,
    ) -> None:
        self._settings = Settings(
            manifest=manifest or default_manifest("http://127.0.0.1:9/no-bot-connected"),
            port=port,
            enforce_rate_limits=enforce_rate_limits,
            seed=seed,
            clock=clock,
            bot_transport=bot_transport,
        )
        self._server: LocalServer = build_server(self._settings)
        if clock is None:
            self.faults.ack_seconds = UNHURRIED
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="local-slack", daemon=True)
        self._ended = asyncio.Event()
        self._changed = threading.Event()

    # Life

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.uvicorn.started and self._thread.is_alive():
            time.sleep(0.001)
        self.platform.workspace.subscribe(lambda _change: self._changed.set())
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._server.serve_until(self._ended))

    # Addresses and switches

    @property
    def platform(self) -> Platform:
        return self._server.platform

    @property
    def base_url(self) -> str:
        return self.platform.base_url

    @property
    def api_url(self) -> str:
        """What a ``WebClient`` takes as ``base_url``."""
        return f"{self.base_url}/api/"

    @property
    def faults(self) -> Faults:
        return self.platform.faults

    @property
    def traffic(self) -> Traffic:
        return self.platform.traffic

    @property
    def bot_token(self) -> str:
        return self.platform.app.bot_token

    @property
    def app_token(self) -> str:
        return self.platform.app.app_token

    @property
    def signing_secret(self) -> str:
        return self.platform.app.signing_secret

    def connect_bot(self, url: str | None) -> None:
        """Send commands and interactions to this address from now on; ``None`` means Socket Mode."""
        self._do(self.platform.reinstall, default_manifest(url))

    def reinstall(self, manifest: dict[str, Any]) -> None:
        self._do(self.platform.reinstall, manifest)

    def refresh_sockets(self) -> None:
        """Ask every Socket Mode connection to come back anew, as Slack does every few hours."""
        self._await(self.platform.sockets.disconnect())

    def advance(self, seconds: float) -> None:
        """Move a ``ManualClock`` and let what waited for it run."""
        clock = self.platform.clock
        assert isinstance(clock, ManualClock), "advance needs LocalSlack(clock=ManualClock())"
        self._await(_advance(clock, seconds))

    def meanwhile(self, work: Callable[[], Found], *, advance: float, sleepers: int = 1) -> Found:
        """Do ``work`` in a thread, move a ``ManualClock`` once so many more wait for it, and return the
        result.
        """
        clock = self.platform.clock
        assert isinstance(clock, ManualClock), "meanwhile needs LocalSlack(clock=ManualClock())"
        with ThreadPoolExecutor(max_workers=1) as pool:
            awaited = clock.sleepers + sleepers
            result = pool.submit(work)
            while clock.sleepers < awaited and not result.done():
                time.sleep(0.001)
            self.advance(advance)
            return result.result(timeout=30)

    # A person's hands

    def command(self, line: str, *, user: str = "you", channel: str = "pictures") -> Delivered:
        """Type a slash command, such as ``/imagine a red fox``, and wait for the bot's ack."""
        return self._await(self._command(line, user, channel))

    def say(
        self, text: str, *, user: str = "you", channel: str = "pictures", thread_ts: str | None = None
    ) -> Shown:
        """Post a message as a person."""

        def post() -> Shown:
            workspace = self.platform.workspace
            message = workspace.post(
                workspace.channel_named(channel), user=self._user(user), text=text, thread_ts=thread_ts
            )
            self.platform.interactions.told(message)
            return self._shown(message)

        return self._do(post)

    def click(
        self, message: Shown, action_id: str, *, user: str = "you", state: Mapping[str, str] | None = None
    ) -> Delivered:
        """Press a button of the message as it was shown, even if it changed since.

        ``state`` says what was chosen in the message's menus before, as action id -> option value.
        """
        return self._use(message, action_id, (), user, state or {})

    def select(
        self,
        message: Shown,
        action_id: str,
        *values: str,
        user: str = "you",
        state: Mapping[str, str] | None = None,
    ) -> Delivered:
        """Choose from a menu of the message as it was shown."""
        return self._use(message, action_id, values, user, state or {})

    # A person's eyes

    def messages(self, channel: str = "pictures") -> list[Shown]:
        """The channel's messages without replies and without ephemerals, oldest first."""

        def look() -> list[Shown]:
            workspace = self.platform.workspace
            return [self._shown(m) for m in workspace.top_level(workspace.channel_named(channel).id)]

        return self._do(look)

    def thread(self, channel: str, ts: str) -> list[Shown]:
        """The replies under a message, oldest first."""

        def look() -> list[Shown]:
            workspace = self.platform.workspace
            return [self._shown(m) for m in workspace.replies(workspace.channel_named(channel).id, ts)]

        return self._do(look)

    def ephemerals(self, user: str = "you") -> list[Shown]:
        """What only this person sees, in every channel, oldest first."""

        def look() -> list[Shown]:
            me = self._user(user).id
            return [self._shown(m) for m in self.platform.workspace.all_messages() if m.ephemeral_to == me]

        return self._do(look)

    def file_bytes(self, file_id: str) -> bytes:
        return self.platform.workspace.files[file_id].content

    def wait_for(self, predicate: Callable[[], Found], timeout: float = UNHURRIED) -> Found:
        """The predicate's first true answer; asked again after every change. Raises ``TimeoutError``."""
        deadline = time.monotonic() + timeout
        while True:
            self._changed.clear()
            if found := predicate():
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout} s; traffic: {self._recent_traffic()}")
            self._changed.wait(timeout=0.02)

    # Inside

    async def _command(self, line: str, user: str, channel: str) -> Delivered:
        name, text = split_command(line)
        command = next((c for c in self.platform.app.commands if c.command == name), None)
        if command is None:
            raise LookupError(f"the manifest has no command {name!r}")
        place = self.platform.workspace.channel_named(channel)
        return await self.platform.interactions.command(command, text, user=self._user(user), channel=place)

    def _use(
        self, shown: Shown, action_id: str, values: tuple[str, ...], user: str, chosen: Mapping[str, str]
    ) -> Delivered:
        use = ControlUse(block_id=shown.block_of(action_id), action_id=action_id, values=values)
        message = self.platform.workspace.find(shown.channel, shown.ts)
        if message is None:
            raise LookupError("the message is gone")
        return self._await(
            self.platform.interactions.use_control(
                use,
                user=self._user(user),
                message=message,
                blocks=shown.blocks,
                state=_state(shown, chosen),
            )
        )

    def _user(self, name: str) -> User:
        users = self.platform.workspace.users.values()
        return next(user for user in users if name in {user.id, user.name})

    def _shown(self, message: Message) -> Shown:
        seen = message_json(self.platform.workspace, message)
        return Shown(
            ts=message.ts,
            channel=message.channel,
            thread_ts=message.thread_ts,
            text=message.text,
            blocks=message.blocks or [],
            files=seen["files"],
            ephemeral=seen["ephemeral"],
            edited=seen["edited"],
            json=seen,
        )

    def _recent_traffic(self) -> str:
        return ", ".join(f"{e.name}:{'ok' if e.ok else e.error}" for e in self.traffic.all()[-12:])

    def _do(self, work: Callable[..., Found], *args: Any) -> Found:
        async def run() -> Found:
            return work(*args)

        return self._await(run())

    def _await(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=2 * UNHURRIED)


async def _advance(clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    for _ in range(10):
        await asyncio.sleep(0)


def _state(shown: Shown, chosen: Mapping[str, str]) -> State:
    state: dict[str, dict[str, Any]] = {}
    for action_id, value in chosen.items():
        block_id = shown.block_of(action_id)
        state.setdefault(block_id, {})[action_id] = {"selected_option": {"value": value}}
    return state


def _texts(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["text"]] if isinstance(part.get("text"), str) else []
        inner = (value for name, value in part.items() if isinstance(value, dict | list))
        return [*own, *(text for value in inner for text in _texts(value))]
    if isinstance(part, list):
        return [text for item in part for text in _texts(item)]
    return []
