"""The controls on a card: what pressing each one does, and what the presser alone is told.

A control carries a job id and an index. Everything else is read from the row, so a control works as long as
the row is kept, and a stale one gets a sentence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from bot.domain.errors import Refused
from bot.domain.job import Address
from bot.services import control, gallery, intake
from bot.services.core import Caller
from bot.services.offers import defaults_of
from bot.slack import notices
from bot.slack.blocks import Message
from bot.slack.controls import CONTROLS, Action, Target
from bot.slack.door import Door
from bot.slack.place import address

Handler = Callable[[Door, Caller, "Pressed"], Message | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """One use of a control. `thread` is where its message lives: the parent's ts, None for an ephemeral."""

    action: str
    target: Target
    user: str
    name: str | None
    channel: str
    thread: str | None
    moment: str
    response_url: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read a block_actions payload. Raises Refused("unknown_control") for a control we never made."""
        used = body["actions"][0]
        target = Target.parse(used.get("value") or (used.get("selected_option") or {}).get("value"))
        if target is None:
            raise Refused("unknown_control")
        return cls(
            action=used["action_id"],
            target=_with_choice(target, body),
            user=body["user"]["id"],
            name=body["user"].get("name") or body["user"].get("username"),
            channel=body["channel"]["id"],
            thread=_parent(body),
            moment=used["action_ts"],
            response_url=body.get("response_url"),
        )

    @property
    def source_key(self) -> str:
        """Names this press: Slack's repetition of it makes no second job."""
        return f"action:{self.target.value}:{self.action}:{self.user}:{self.moment}"

    @property
    def index(self) -> int:
        return self.target.index or 0

    def sink(self) -> Address:
        """New cards go into the thread in which the control was pressed."""
        return address(
            channel=self.channel,
            user=self.user,
            name=self.name,
            thread=self.thread,
            response_url=self.response_url,
        )


def pick(_door: Door, _caller: Caller, _pressed: Pressed) -> None:
    """Choosing a picture changes nothing yet; the buttons beside it send the choice along."""


def full_size(door: Door, caller: Caller, pressed: Pressed) -> None:
    control.want_original(door.core, caller, job_ref=pressed.target.job_id, index=pressed.index)


def vary(door: Door, caller: Caller, pressed: Pressed) -> None:
    accepted = intake.vary(
        door.core,
        caller,
        job_ref=pressed.target.job_id,
        index=pressed.index,
        source_key=pressed.source_key,
        sink=pressed.sink(),
    )
    if not accepted.fresh:
        raise Refused("already_running")


def reroll(door: Door, caller: Caller, pressed: Pressed) -> None:
    accepted = intake.reroll(
        door.core,
        caller,
        job_ref=pressed.target.job_id,
        source_key=pressed.source_key,
        sink=pressed.sink(),
    )
    if not accepted.fresh:
        raise Refused("already_running")


def cancel(door: Door, caller: Caller, pressed: Pressed) -> None:
    control.cancel(door.core, caller, job_ref=pressed.target.job_id)


def more(door: Door, caller: Caller, pressed: Pressed) -> Message:
    """The "…" menu: Details, or Delete, which asks first."""
    job = gallery.show(door.core, caller, job_ref=pressed.target.job_id)
    if job.deleted_at is not None:
        raise Refused("deleted")
    if pressed.target.entry == "details":
        return notices.details(job, defaults_of(door.core, job.request))
    if job.person != caller.user and not caller.is_admin:
        raise Refused("not_yours")
    return notices.confirm_delete(job.id)


def delete(door: Door, caller: Caller, pressed: Pressed) -> Message:
    control.delete(door.core, caller, job_ref=pressed.target.job_id)
    return notices.deleted()


ACTIONS: Mapping[Action, Handler] = {
    Action.PICK: pick,
    Action.FULL_SIZE: full_size,
    Action.VARY: vary,
    Action.REROLL: reroll,
    Action.MORE: more,
    Action.CANCEL: cancel,
    Action.RETRY: reroll,
    Action.DELETE: delete,
}
"""Every control, by its `action_id`."""


def _with_choice(target: Target, body: Mapping[str, Any]) -> Target:
    """The target with the picture chosen in the menu beside the button, if it belongs to the same job."""
    state = (body.get("state") or {}).get("values") or {}
    chosen = (state.get(CONTROLS) or {}).get(Action.PICK) or {}
    choice = Target.parse((chosen.get("selected_option") or {}).get("value"))
    if choice is None or choice.job_id != target.job_id or target.index is None:
        return target
    return Target(job_id=target.job_id, index=choice.index, entry=target.entry)


def _parent(body: Mapping[str, Any]) -> str | None:
    message, container = body.get("message") or {}, body.get("container") or {}
    if container.get("is_ephemeral"):
        return container.get("thread_ts")
    parent: str | None = message.get("thread_ts") or message.get("ts") or container.get("message_ts")
    return parent
