"""`/imagine …`: what each kind of line does, and what its sender is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from bot.domain import messages
from bot.domain.errors import Refused
from bot.domain.job import SinkKind
from bot.domain.prompt import (
    Admin,
    Ask,
    Cancel,
    Command,
    Draw,
    Empty,
    Help,
    Info,
    Models,
    Show,
    classify,
    from_slack,
)
from bot.domain.prompt.help import help_lines
from bot.domain.transitions import is_open
from bot.services import admin, control, gallery, intake
from bot.services.core import Caller
from bot.services.stages import stage_of
from bot.slack import notices
from bot.slack.blocks import Message
from bot.slack.card import final_card, open_card
from bot.slack.door import Door
from bot.slack.place import address, ts_of_link


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """One slash command as Slack sent it."""

    text: str
    channel: str
    name: str | None
    trigger_id: str
    response_url: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            text=from_slack(body.get("text", "")),
            channel=body["channel_id"],
            name=body.get("user_name"),
            trigger_id=body["trigger_id"],
            response_url=body.get("response_url"),
        )


def imagine(door: Door, caller: Caller, typed: Typed) -> Message | None:
    """Run the line. None means that the card says it all."""
    command = classify(typed.text)
    if not isinstance(command, Ask):
        return _run(door, caller, typed, command)
    if _names_a_job(door, caller, command.command):
        return _run(door, caller, typed, command.command)
    return notices.ask(command)


def _run(door: Door, caller: Caller, typed: Typed, command: Command) -> Message | None:
    match command:
        case Empty():
            return notices.usage()
        case Draw(text=text):
            return _draw(door, caller, typed, text)
        case Help(topic=topic):
            return notices.page(help_lines(topic, catalogue=door.core.policy.catalogue))
        case Info():
            return notices.overview(gallery.overview(door.core, caller))
        case Show(job_ref=ref):
            return _show(door, caller, ref)
        case Cancel(job_ref=ref):
            return _cancel(door, caller, ref)
        case Models(kind=kind, search=search):
            return _models(door, kind, search)
        case Admin(words=words):
            return _admin(door, caller, words)


def _names_a_job(door: Door, caller: Caller, command: Command) -> bool:
    """Whether a word that could be a job or part of a prompt is a job after all."""
    if not isinstance(command, Show | Cancel) or command.job_ref is None:
        return False
    try:
        gallery.show(door.core, caller, job_ref=command.job_ref)
    except Refused:
        return False
    return True


def _draw(door: Door, caller: Caller, typed: Typed, text: str) -> Message | None:
    sink = address(channel=typed.channel, user=caller.user, name=typed.name, response_url=typed.response_url)
    source_key = f"command:{typed.trigger_id}"
    accepted = intake.imagine(door.core, caller, text=text, source_key=source_key, sink=sink)
    if not accepted.fresh:
        raise Refused("already_running")
    return notices.notes(accepted.notes) if accepted.notes else None


def _show(door: Door, caller: Caller, ref: str) -> Message:
    """The card again, with live controls, for the asker alone."""
    job = gallery.show(door.core, caller, job_ref=_job_ref(door, caller, ref))
    if is_open(job):
        return open_card(stage_of(door.core, job))
    is_in_slack = job.sink.kind is SinkKind.SLACK_THREAD and job.delivered_at is not None
    return final_card(job, with_image=is_in_slack)


def _cancel(door: Door, caller: Caller, ref: str | None) -> Message:
    job_ref = _job_ref(door, caller, ref) if ref else None
    cancelled = control.cancel(door.core, caller, job_ref=job_ref)
    if len(cancelled) == 1:
        return notices.say(messages.CANCELLED_ONE)
    return notices.say(messages.CANCELLED_SOME.format(count=len(cancelled)))


def _job_ref(door: Door, caller: Caller, ref: str) -> str:
    """The id behind a link to the card of one of the caller's jobs; anything else is a reference already."""
    ts = ts_of_link(ref)
    jobs = gallery.own_jobs(door.core, caller) if ts else ()
    return next((job.id for job in jobs if job.announced_ref == ts), ref)


def _models(door: Door, kind: str, search: str | None) -> Message:
    lines = help_lines(kind, catalogue=door.core.policy.catalogue)
    if search is None:
        return notices.page(lines)
    found = [line for line in lines if search.casefold() in line.casefold()]
    return notices.page(found or [messages.NO_MATCH.format(search=search), *lines])


def _admin(door: Door, caller: Caller, words: tuple[str, ...]) -> Message:
    match words:
        case ("status",):
            return notices.status(admin.status(door.core, caller))
        case ("pause", *reason):
            told = admin.pause(door.core, caller, reason=" ".join(reason))
            return notices.say(messages.PAUSED.format(reason=told))
        case ("resume",):
            started = admin.resume(door.core, caller)
            return notices.say(messages.RESUMED.format(count=started))
        case ("queue",):
            return notices.queue(admin.queue(door.core, caller))
        case _:
            return notices.say(messages.ADMIN_WORDS)
