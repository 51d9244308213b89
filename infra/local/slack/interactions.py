"""What people do, told to the bot: slash commands, uses of a control, messages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.local.slack import limits
from infra.local.slack.app import Command, InstalledApp
from infra.local.slack.clock import BackgroundTasks
from infra.local.slack.delivery import Delivered, Delivery
from infra.local.slack.errors import SlackError
from infra.local.slack.faults import Faults
from infra.local.slack.payloads import message_payload
from infra.local.slack.replies import Replies, ReplyContext, Triggers
from infra.local.slack.workspace import Change, Channel, Message, User, Workspace

State = Mapping[str, Mapping[str, Any]]
"""What stands in a message's menus: block id -> action id -> the element's state as Slack writes it."""

SELECTS_ONE: Final = ("static_select", "radio_buttons", "overflow")
SELECTS_MANY: Final = ("multi_static_select", "checkboxes")
STATEFUL: Final = ("static_select", "radio_buttons", "multi_static_select", "checkboxes", "plain_text_input")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlUse:
    """One press of a button or one choice from a menu. ``values`` are the chosen options' values."""

    block_id: str
    action_id: str
    values: tuple[str, ...] = ()


class Interactions:
    def __init__(
        self,
        *,
        workspace: Workspace,
        app: InstalledApp,
        delivery: Delivery,
        replies: Replies,
        triggers: Triggers,
        faults: Faults,
        background: BackgroundTasks,
        base_url: str,
    ) -> None:
        self.app = app
        self._workspace = workspace
        self._delivery = delivery
        self._replies = replies
        self._triggers = triggers
        self._faults = faults
        self._background = background
        self._base_url = base_url

    async def command(self, command: Command, text: str, *, user: User, channel: Channel) -> Delivered:
        """Deliver a slash command and show its reply. A failed delivery shows nothing here; the caller
        tells.
        """
        context = ReplyContext(channel=channel, user=user, message=None)
        payload = self._command_payload(command, text, context)
        delivered = await self._delivery.send("slash_commands", payload, url=command.url)
        if delivered.body:
            delivered = self._show_reply(context, delivered)
        self._announce(delivered, channel, user, command=command.command)
        return delivered

    async def use_control(
        self,
        use: ControlUse,
        *,
        user: User,
        message: Message,
        blocks: list[dict[str, Any]] | None = None,
        state: State | None = None,
    ) -> Delivered:
        """Deliver a ``block_actions`` interaction.

        ``blocks`` are those the person was looking at when they differ from what the message holds now.
        A control that is not there is a ``SlackError``: ``action_not_found`` or ``option_not_found``.
        """
        seen = blocks if blocks is not None else message.blocks or []
        payload = self._action_payload(use, user=user, message=message, blocks=seen, state=state or {})
        delivered = await self._delivery.send("interactive", payload, url=self.app.interactivity_url)
        self._announce(delivered, self._workspace.channels[message.channel], user, action_id=use.action_id)
        return delivered

    def told(self, message: Message) -> None:
        """Send the events that the manifest subscribes to about a message a person posted."""
        channel = self._workspace.channels[message.channel]
        if self._workspace.bot.id not in channel.members:
            return
        kind = "im" if channel.is_im else "groups" if channel.is_private else "channels"
        event = self._event(message, channel)
        if f"message.{kind}" in self.app.events:
            self.send_event(event)
        if "app_mention" in self.app.events and f"<@{self._workspace.bot.id}>" in message.text:
            self.send_event({**event, "type": "app_mention"})

    def send_event(self, event: dict[str, Any]) -> None:
        """Deliver an event in the background, again and again as Slack does when it is not acknowledged."""
        envelope = {
            "token": self.app.verification_token,
            "team_id": self._workspace.team.id,
            "api_app_id": self.app.id,
            "event": event,
            "type": "event_callback",
            "event_id": self._workspace.ids.next("Ev"),
            "event_time": int(self._workspace.clock.now()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": self._workspace.team.id,
                    "user_id": self._workspace.bot.id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }
        self._background.start(self._deliver_event(envelope))
        if self._faults.take_duplicate():
            self._background.start(self._deliver_event(envelope))

    async def _deliver_event(self, envelope: dict[str, Any]) -> None:
        url = self.app.events_url
        delivered = await self._delivery.send("events_api", envelope, url=url)
        for number, pause in enumerate(limits.EVENT_RETRY_SECONDS, start=1):
            if delivered.failure is None or delivered.no_retry:
                return
            await self._workspace.clock.sleep(pause)
            retry = (number, str(delivered.failure))
            delivered = await self._delivery.send("events_api", envelope, url=url, retry=retry)

    def _show_reply(self, context: ReplyContext, delivered: Delivered) -> Delivered:
        try:
            self._replies.reply(context, delivered.body)
        except SlackError:
            return Delivered(
                kind=delivered.kind, ms=delivered.ms, failure="http_error", status=delivered.status
            )
        return delivered

    def _announce(self, delivered: Delivered, channel: Channel, user: User, **what: str) -> None:
        outcome = {"kind": delivered.kind, "ms": delivered.ms, "ok": delivered.ok, "error": delivered.code}
        self._workspace.announce(
            Change(kind="delivery", channel=channel.id, delivery=outcome | what, for_user=user.id)
        )

    def _command_payload(self, command: Command, text: str, context: ReplyContext) -> dict[str, str]:
        spoken = escape(text)
        if command.should_escape:
            spoken = _with_mentions(self._workspace, spoken)
        return {
            "token": self.app.verification_token,
            "team_id": self._workspace.team.id,
            "team_domain": self._workspace.team.domain,
            "channel_id": context.channel.id,
            "channel_name": _command_channel_name(context.channel),
            "user_id": context.user.id,
            "user_name": context.user.name,
            "command": command.command,
            "text": spoken,
            "api_app_id": self.app.id,
            "is_enterprise_install": "false",
            "response_url": self._response_url("commands", context),
            "trigger_id": self._triggers.issue(),
        }

    def _action_payload(
        self, use: ControlUse, *, user: User, message: Message, blocks: list[dict[str, Any]], state: State
    ) -> dict[str, Any]:
        element = find_element(blocks, use)
        action = action_payload(element, use, action_ts=self._workspace.next_ts())
        channel = self._workspace.channels[message.channel]
        context = ReplyContext(channel=channel, user=user, message=message)
        payload: dict[str, Any] = {
            "type": "block_actions",
            "user": {
                "id": user.id,
                "username": user.name,
                "name": user.name,
                "team_id": self._workspace.team.id,
            },
            "api_app_id": self.app.id,
            "token": self.app.verification_token,
            "container": self._container(message),
            "trigger_id": self._triggers.issue(),
            "team": {"id": self._workspace.team.id, "domain": self._workspace.team.domain},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel.id, "name": _interaction_channel_name(channel)},
            "state": {"values": state_values(blocks, {**state, **_state_of(use, element, state)})},
            "response_url": self._response_url("actions", context),
            "actions": [action],
        }
        if message.ephemeral_to is None:
            payload["message"] = message_payload(
                self._workspace, message, app=self.app, base_url=self._base_url
            ) | {"blocks": blocks}
        return payload

    def _container(self, message: Message) -> dict[str, Any]:
        container: dict[str, Any] = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": message.ephemeral_to is not None,
        }
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        return container

    def _response_url(self, kind: str, context: ReplyContext) -> str:
        secret = self._replies.issue(context)
        return f"{self._base_url}/{kind}/{self._workspace.team.id}/{secret}"

    def _event(self, message: Message, channel: Channel) -> dict[str, Any]:
        event = message_payload(self._workspace, message, app=self.app, base_url=self._base_url)
        kind = "im" if channel.is_im else "group" if channel.is_private else "channel"
        return event | {"channel": channel.id, "channel_type": kind, "event_ts": message.ts}


def split_command(line: str) -> tuple[str, str]:
    """The command's name and its text, which any white space separates."""
    name, *text = line.split(maxsplit=1)
    return name, text[0].rstrip() if text else ""


def escape(text: str) -> str:
    """Text as Slack hands it on: exactly ``&``, ``<`` and ``>`` become entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _with_mentions(workspace: Workspace, text: str) -> str:
    users = {user.name: user.id for user in workspace.users.values()}
    channels = {channel.name: channel.id for channel in workspace.channels.values() if not channel.is_im}

    def person(match: re.Match[str]) -> str:
        name = match[1]
        return f"<@{users[name]}|{name}>" if name in users else match[0]

    def place(match: re.Match[str]) -> str:
        name = match[1]
        return f"<#{channels[name]}|{name}>" if name in channels else match[0]

    return re.sub(r"#([\w-]+)", place, re.sub(r"@([\w.-]+)", person, text))


def _command_channel_name(channel: Channel) -> str:
    return "directmessage" if channel.is_im else "privategroup" if channel.is_private else channel.name


def _interaction_channel_name(channel: Channel) -> str:
    return "directmessage" if channel.is_im else channel.name


def interactive_elements(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every control of the blocks with the id of its block."""
    for block in blocks:
        for part in (*block.get("elements", []), block.get("accessory"), block.get("element")):
            if isinstance(part, dict) and "action_id" in part:
                yield block["block_id"], part


def find_element(blocks: list[dict[str, Any]], use: ControlUse) -> dict[str, Any]:
    """The control that was used. Raises ``action_not_found``."""
    for block_id, element in interactive_elements(blocks):
        if (block_id, element["action_id"]) == (use.block_id, use.action_id):
            return element
    raise SlackError("action_not_found")


def action_payload(element: dict[str, Any], use: ControlUse, *, action_ts: str) -> dict[str, Any]:
    """The entry of ``actions`` for one control. Raises ``option_not_found`` for a value it does not offer."""
    payload = {
        "type": element["type"],
        "action_id": use.action_id,
        "block_id": use.block_id,
        "action_ts": action_ts,
    }
    for name in ("text", "value", "style", "url", "placeholder", "initial_option"):
        if name in element:
            payload[name] = element[name]
    return payload | _selection(element, use.values)


def state_values(blocks: list[dict[str, Any]], state: State) -> dict[str, dict[str, Any]]:
    """``state.values``: what stands in every stateful control, from what the person chose or as it was
    posted.
    """
    values: dict[str, dict[str, Any]] = {}
    for block_id, element in interactive_elements(blocks):
        if element["type"] in STATEFUL:
            chosen = state.get(block_id, {}).get(element["action_id"])
            values.setdefault(block_id, {})[element["action_id"]] = _element_state(element, chosen)
    return values


def chosen_values(state: Any) -> tuple[str, ...]:
    """The option values in an element's state as the page sends it: one option, several, or none."""
    if not isinstance(state, Mapping):
        return ()
    several = state.get("selected_options")
    options = several if isinstance(several, list) and several else [state.get("selected_option")]
    return tuple(
        str(option["value"]) for option in options if isinstance(option, Mapping) and "value" in option
    )


def read_state(value: Any) -> State:
    """The state of a message's menus as the page sends it; what has not that shape is left out."""
    if not isinstance(value, Mapping):
        return {}
    return {block_id: elements for block_id, elements in value.items() if isinstance(elements, Mapping)}


def _state_of(use: ControlUse, element: dict[str, Any], state: State) -> dict[str, Any]:
    if element["type"] not in STATEFUL:
        return {}
    chosen = _selection(element, use.values)
    return {use.block_id: {**state.get(use.block_id, {}), use.action_id: chosen}}


def _element_state(element: dict[str, Any], chosen: Any) -> dict[str, Any]:
    kind = element["type"]
    if kind == "plain_text_input":
        value = chosen.get("value") if isinstance(chosen, Mapping) else element.get("initial_value")
        return {"type": kind, "value": value}
    if isinstance(chosen, Mapping):
        return {"type": kind, **_selection(element, chosen_values(chosen))}
    if kind in SELECTS_MANY:
        return {"type": kind, "selected_options": element.get("initial_options", [])}
    return {"type": kind, "selected_option": element.get("initial_option")}


def _selection(element: dict[str, Any], values: tuple[str, ...]) -> dict[str, Any]:
    offered = {option["value"]: option for option in _options(element)}
    if unknown := [value for value in values if value not in offered]:
        raise SlackError("option_not_found", detail=unknown[0])
    if element["type"] in SELECTS_MANY:
        return {"selected_options": [offered[value] for value in values]}
    if element["type"] in SELECTS_ONE:
        return {"selected_option": offered[values[0]] if values else None}
    return {}


def _options(element: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from element.get("options", [])
    for group in element.get("option_groups", []):
        yield from group["options"]
