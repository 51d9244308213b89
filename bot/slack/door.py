"""What commands and controls share: who is asking, and how an error reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.domain import messages
from bot.domain.errors import Ambiguous, BotError, Busy, Conflict, Refused, Rejected
from bot.services.core import Caller, Core
from bot.services.intake import PromptRefused
from bot.slack import notices
from bot.slack.blocks import Message
from bot.slack.settings import SlackSettings

CLOSED_TO_US = frozenset({"channel_not_found", "is_archived", "not_in_channel", "restricted_action"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """`answer` is the only place where an error becomes a sentence."""

    core: Core
    settings: SlackSettings

    def caller(self, context: Mapping[str, Any], body: Mapping[str, Any]) -> Caller:
        """The verified person. Raises Refused("other_workspace") for a guest from a shared channel.

        The tenant is the workspace the app was authorised for, whatever the body says.
        """
        tenant, user = context["authorize_result"]["team_id"], context["user_id"]
        person = body.get("user")
        home = person.get("team_id") if isinstance(person, Mapping) else None
        if context.get("team_id") != tenant or home not in (None, tenant):
            raise Refused("other_workspace")
        return Caller(tenant=tenant, user=user, is_admin=user in self.settings.admins)

    def answer(self, work: Callable[[], Message | None]) -> Message | None:
        """What to tell the person, None for nothing. Never raises."""
        try:
            return work()
        except PromptRefused as refused:
            return notices.prompt_refused(refused.refusal)
        except Refused as refused:
            return notices.say(messages.refusal(refused.code, refused.facts))
        except BotError as error:
            self.core.journal.event("slack_door_error", error=type(error).__name__, code=_code(error))
            return notices.say(messages.refusal(*_sentence(error)))
        except Exception as error:  # noqa: BLE001  the last line of defence: a person waits for an answer
            self.core.journal.event("slack_door_error", error=type(error).__name__)
            return notices.say(messages.UNEXPECTED)


def _sentence(error: BotError) -> tuple[str, Mapping[str, object]]:
    """The refusal, by code and facts, that an error reads as."""
    if isinstance(error, Busy):
        return "busy", {"wait": round(error.retry_after or 1) or 1}
    if isinstance(error, Rejected) and error.code in CLOSED_TO_US:
        return "cannot_post", {}
    if isinstance(error, Ambiguous | Conflict):
        return "not_confirmed", {}
    return "peer_down", {}


def _code(error: BotError) -> str | None:
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else None
