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
from bot.domain.prompt.subcommands import CONFIRMED
from bot.domain.steering import Command as Steer
from bot.domain.transitions import is_open
from bot.services import admin, checkup, control, gallery, intake, steering
from bot.services.core import Caller
from bot.services.offers import offered
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done to the endpoint; `sure` after its price or loss was shown."""

    command: Steer
    words: str = ""
    sure: bool = False

    @classmethod
    def of(cls, words: tuple[str, ...]) -> Self:
        """From the words after `admin`."""
        command, *rest = (word for word in words if word != CONFIRMED)
        return cls(command=Steer(command), words="".join(rest), sure=CONFIRMED in words)


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
            return notices.page(help_lines(topic, catalogue=offered(door.core)))
        case Info():
            return notices.overview(gallery.overview(door.core, caller))
        case Show(job_ref=ref):
            return _show(door, caller, ref)
        case Cancel(job_ref=ref):
            return _cancel(door, caller, ref)
        case Models(kind=kind, search=search):
            return _models(door, kind, search)
        case Admin(words=words):
            return _admin(door, caller, typed, words)


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
    lines = help_lines(kind, catalogue=offered(door.core))
    if search is None:
        return notices.page(lines)
    found = [line for line in lines if search.casefold() in line.casefold()]
    return notices.page(found or [messages.NO_MATCH.format(search=search), *lines])


def _admin(door: Door, caller: Caller, typed: Typed, words: tuple[str, ...]) -> Message:
    core = door.core
    match words:
        case ("status",):
            return notices.status(admin.status(core, caller))
        case ("pause", *reason):
            return notices.say(
                messages.PAUSED.format(reason=admin.pause(core, caller, reason=" ".join(reason)))
            )
        case ("resume",):
            return notices.say(messages.RESUMED.format(count=admin.resume(core, caller)))
        case ("queue",):
            return notices.queue(admin.queue(core, caller))
        case ("models",):
            return notices.page(admin.models(core, caller))
        case ("doctor",):
            return _doctor(door, caller, typed)
        case ("wake" | "sleep" | "warm" | "schedule" | "purge", *_):
            return _steer(door, caller, typed, Order.of(words))
        case _:
            return notices.say(messages.ADMIN_WORDS)


def _steer(door: Door, caller: Caller, typed: Typed, order: Order) -> Message:
    """What costs or loses something is shown first, with the line that does it: a line of its own, so no old
    button can do it, and none twice.
    """
    question = steering.question(door.core, caller, order.command, order.words)
    if question is not None and not order.sure:
        return notices.confirm(question)
    if order.command is Steer.PURGE and door.core.steering is None:
        return notices.say(messages.PURGED.format(count=admin.purge(door.core, caller)))
    return _hand_over(door, caller, typed, order)


def _hand_over(door: Door, caller: Caller, typed: Typed, order: Order) -> Message:
    steering.give(
        door.core,
        caller,
        order.command,
        words=order.words,
        source_key=f"admin:{typed.trigger_id}",
        response_url=typed.response_url or "",
    )
    return notices.say(messages.HANDED_OVER)


def _doctor(door: Door, caller: Caller, typed: Typed) -> Message:
    """What can be seen from here at once; the rest follows from the admin function, if that is alive."""
    lines = checkup.seen_here(door.core, caller)
    if door.core.steering is None:
        return notices.page(lines)
    try:
        _hand_over(door, caller, typed, Order(command=Steer.DOCTOR))
    except Refused as refused:
        return notices.page(
            [*lines, messages.doctor("no_admin", why=messages.refusal(refused.code, refused.facts))]
        )
    return notices.page([*lines, messages.doctor("follows")])
