"""The Bolt app: one registration table, one way in, one way an answer goes back."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt import Ack, App
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context import BoltContext
from slack_bolt.response import BoltResponse

from bot.domain.errors import PeerError
from bot.services.core import Core
from bot.slack import actions, commands
from bot.slack.blocks import Message
from bot.slack.controls import Action
from bot.slack.door import Door
from bot.slack.notices import COMMAND
from bot.slack.settings import SlackSettings
from bot.slack.web import SlackWeb

Json = Mapping[str, Any]
Listener = Callable[[Ack, BoltContext, dict[str, Any]], None]
NO_TOKEN = "xoxb-held-by-the-web-client"  # noqa: S105  Bolt wants one; its own client is never used


def create_app(core: Core, settings: SlackSettings, *, web: SlackWeb) -> App:
    """The app behind the gate: requests must be verified before they are dispatched to it.

    The authorisation is static (no `auth.test` on the way), listeners run to their end before the response,
    and nothing is left for Bolt's lazy listeners, which lose work. What Bolt does for events and for steps of
    workflows is off: the app takes commands and controls.
    """
    door = Door(core=core, settings=settings)
    logger = _quiet_logger()
    app = App(
        name="imagine",
        logger=logger,
        process_before_response=True,
        request_verification_enabled=False,
        ssl_check_enabled=False,
        ignoring_self_events_enabled=False,
        attaching_function_token_enabled=False,
        attaching_conversation_kwargs_enabled=False,
        authorize=_static_authorize(settings),
    )
    logger.setLevel(logging.WARNING)
    app.command(COMMAND)(_command_listener(door))
    for action_id, handler in actions.ACTIONS.items():
        app.action(action_id.value)(_action_listener(door, web, handler))
    app.error(_unreadable(door))
    return app


def _command_listener(door: Door) -> Listener:
    def listen(ack: Ack, context: BoltContext, body: dict[str, Any]) -> None:
        def work() -> Message | None:
            return commands.imagine(door, door.caller(context, body), commands.Typed.of(body))

        answer = door.answer(work)
        ack() if answer is None else ack(_ephemeral(answer))

    return listen


def _action_listener(door: Door, web: SlackWeb, handler: actions.Handler) -> Listener:
    """An ack's body is not shown for controls, so answers go through the `response_url`."""

    def listen(ack: Ack, context: BoltContext, body: dict[str, Any]) -> None:
        def work() -> Message | None:
            return handler(door, door.caller(context, body), actions.Pressed.of(body))

        answer = door.answer(work)
        if answer is not None:
            _whisper(door, web, body, answer)
        ack()

    return listen


def _unreadable(door: Door) -> Callable[[Exception], BoltResponse]:
    """Listeners answer every failure themselves; what ends here is a payload in which Bolt lost its way."""

    def report(error: Exception) -> BoltResponse:
        door.core.journal.event("bolt_error", error=type(error).__name__)
        return BoltResponse(status=400, body="")

    return report


def _whisper(door: Door, web: SlackWeb, body: Json, answer: Message) -> None:
    """Tell the presser alone; a question that was answered is replaced. A lost whisper is only counted."""
    url = body.get("response_url")
    if not isinstance(url, str):
        return
    thread = _thread_beside(body)
    reply = {
        **_ephemeral(answer),
        "replace_original": body["actions"][0].get("action_id") == Action.DELETE,
        **({"thread_ts": thread} if thread else {}),
    }
    try:
        web.respond(url, reply)
    except PeerError as lost:
        door.core.journal.event("whisper_lost", code=lost.code)


def _thread_beside(body: Json) -> str | None:
    """The thread whose reply was pressed; a parent's answer stays in the channel beside it."""
    message = body.get("message") or body.get("container") or {}
    thread: str | None = message.get("thread_ts")
    return thread if thread != message.get("ts") else None


def _ephemeral(answer: Message) -> dict[str, Any]:
    return {"response_type": "ephemeral", "text": answer.text, "blocks": answer.blocks}


def _static_authorize(settings: SlackSettings) -> Callable[[], AuthorizeResult]:
    def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=settings.team_id, bot_token=NO_TOKEN)

    return authorize


def _quiet_logger() -> logging.Logger:
    """Bolt logs whole bodies at DEBUG and INFO; neither is ever let through.

    While the app is made only errors are: Bolt would warn that it ignores SLACK_BOT_TOKEN, as it should.
    """
    for name in ("slack_bolt", "slack_sdk"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logger = logging.getLogger("slack_bolt.imagine")
    logger.setLevel(logging.ERROR)
    return logger
