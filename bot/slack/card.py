"""The job card: one message that tells where a job stands and, in the end, shows what came of it.

Everything here is a pure function of the row. Who asked and what they typed stand in rich_text, which
parses nothing; the rest is plain text. Open cards name the person without notifying them: they have just
typed the line.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bot.domain import messages
from bot.domain.job import Job, Outcome, State, state_of
from bot.domain.transitions import is_unresolved
from bot.ports import Stage
from bot.slack.blocks import (
    MAX_BLOCKS_JSON,
    Json,
    Message,
    actions,
    button,
    context,
    image,
    overflow,
    section,
    select,
    size,
)
from bot.slack.controls import CONTROLS, Action, Target
from bot.slack.escape import escape, person, run
from bot.slack.place import name_of
from bot.slack.settings import Mention

SHORT_ID = 8
TEXT_PROMPT = 300
MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class Room:
    """Characters there are for the prompt, for the alt text and for each piece of small print."""

    prompt: int
    alt: int
    note: int


ROOMS = (Room(1500, 2000, 600), Room(600, 800, 300), Room(250, 250, 100))
"""Tried in this order until the blocks fit; the last one fits whatever the characters are."""


def short_id(job: Job) -> str:
    """Enough of the id to name the job in a conversation and in `/imagine show`."""
    return job.id[:SHORT_ID]


def open_card(stage: Stage) -> Message:
    """The card while somebody waits."""
    job = stage.job
    line = _line(stage)

    def blocks(room: Room) -> list[Json]:
        cancel = button(messages.CANCEL, action=Action.CANCEL, value=Target(job_id=job.id).value)
        return [
            _asked(job, room),
            context(
                settings_line(job, model=stage.endpoint.model), *_patience(job), *_notes(job), limit=room.note
            ),
            section(line),
            *([actions(CONTROLS, [cancel])] if is_unresolved(job) else []),
        ]

    return _fitted(_text(job, line), blocks)


def final_card(job: Job, *, with_image: bool, mention: Mention = Mention.QUIET) -> Message:
    """The card of an ended job: picture and controls, or the plain sentence why there is none.

    `with_image` False is for the time in which Slack does not yet know the uploaded file. A card without
    pictures is the final message itself, so it mentions the requester where that is wanted.
    """
    if job.deleted_at is not None:
        return deleted_card()
    if job.final_outcome is Outcome.OK:
        return _fitted(
            _text(job, messages.OUTCOMES[Outcome.OK]), lambda room: _picture(job, room, with_image)
        )
    sentence = messages.OUTCOMES[job.final_outcome or Outcome.ENGINE_FAILED]
    who = person(job.person) if mention is Mention.MENTION else _name(job)
    return _fitted(_text(job, sentence), lambda room: _failure(job, room, sentence, who))


def deleted_card() -> Message:
    """What is left of a card after its owner deleted it."""
    return Message(messages.DELETED, [context(messages.DELETED)])


def settings_line(job: Job, *, model: str | None) -> str:
    """What the pictures are drawn with, on one line."""
    request = job.request
    parts = [
        f"{request.width}×{request.height}",
        f"{request.n} pictures" if request.n > 1 else "1 picture",
        f"{request.steps} steps",
        request.sampler,
        f"cfg {request.guidance:g}",
        _seeds(job),
        f"style {request.style}" if request.style else "",
        *(f"LoRA {use.name}:{use.weight:g}" for use in request.loras),
        request.model or model or "",
        messages.WITHOUT.format(words=request.negative_prompt) if request.negative_prompt else "",
    ]
    return " · ".join(part for part in parts if part)


def _line(stage: Stage) -> str:
    """Where the job stands; one that already failed says so, even on a card that is posted late."""
    job, outcome = stage.job, stage.job.final_outcome
    if outcome is not None and outcome is not Outcome.OK:
        return messages.OUTCOMES[outcome]
    return messages.stage_line(
        state_of(job), warmth=stage.endpoint.warmth, place=stage.place, step=stage.step, steps=stage.steps
    )


def _picture(job: Job, room: Room, with_image: bool) -> list[Json]:
    result = job.result
    assert result is not None
    shown = with_image and bool(job.delivery_refs)
    small_print = (settings_line(job, model=result.model), *_unknown_words(job), *_notes(job), _job_line(job))
    return [
        _asked(job, room),
        image(job.delivery_refs[0], alt=job.request.prompt, limit=room.alt)
        if shown
        else context(messages.PICTURE_IS_BELOW),
        context(*small_print, limit=room.note),
        actions(CONTROLS, _controls(job)),
    ]


def _failure(job: Job, room: Room, sentence: str, who: Json) -> list[Json]:
    retry = button(messages.RETRY, action=Action.RETRY, value=Target(job_id=job.id).value)
    small_print = context(*_notes(job), _job_line(job), limit=room.note)
    return [_asked(job, room, who), section(sentence), small_print, actions(CONTROLS, [retry])]


def _controls(job: Job) -> list[Json]:
    assert job.result is not None
    several = len(job.result.pictures) > 1
    one = Target(job_id=job.id, index=0).value
    pictures = [
        (messages.PICTURE_NUMBER.format(number=index + 1), Target(job_id=job.id, index=index).value)
        for index in range(len(job.result.pictures))
    ]
    more = [
        (messages.DETAILS, Target(job_id=job.id, entry="details").value),
        (messages.DELETE, Target(job_id=job.id, entry="delete").value),
    ]
    single_out = [
        select(messages.PICK, action=Action.PICK, options=pictures),
        button(messages.FULL_SIZE, action=Action.FULL_SIZE, value=one),
    ]
    return [
        *(single_out if several else []),
        button(messages.VARY, action=Action.VARY, value=one),
        button(messages.REROLL, action=Action.REROLL, value=Target(job_id=job.id).value),
        overflow(action=Action.MORE, options=more),
    ]


def _asked(job: Job, room: Room, who: Json | None = None) -> Json:
    """Who asked, and what for."""
    asked = {"type": "rich_text_section", "elements": [who or _name(job), run(messages.REQUESTER)]}
    prompt = {"type": "rich_text_quote", "elements": [run(job.request.prompt, room.prompt)]}
    return {"type": "rich_text", "elements": [asked, prompt]}


def _name(job: Job) -> Json:
    """The requester's name as text; where Slack sent none, the id, which clients show as a name."""
    name = name_of(job)
    return {**run(name, MAX_NAME), "style": {"bold": True}} if name else person(job.person)


def _seeds(job: Job) -> str:
    drawn = job.result.pictures if job.result else ()
    seeds = [picture.seed for picture in drawn] or list(job.request.seeds)
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}" if seeds else ""


def _patience(job: Job) -> list[str]:
    """How long the job may wait, while it does."""
    if state_of(job) not in (State.ACCEPTED, State.ANNOUNCED):
        return []
    return [messages.PATIENCE.format(hours=round((job.patience_until - job.accepted_at) / 3600, 1))]


def _unknown_words(job: Job) -> list[str]:
    result = job.result
    if result is None or not result.unknown_words:
        return []
    words = ", ".join(result.unknown_words)
    return [messages.UNKNOWN_WORDS.format(model=result.model or "The model", words=words)]


def _notes(job: Job) -> list[str]:
    notes = [*job.notes, *(job.result.notes if job.result else ())]
    return [" ".join(notes)] if notes else []


def _job_line(job: Job) -> str:
    return messages.JOB_ID.format(id=short_id(job))


def _text(job: Job, line: str) -> str:
    """What notifications show. Block Kit clients show the blocks instead."""
    return f"{escape(job.request.prompt, TEXT_PROMPT)} – {escape(line)}"


def _fitted(text: str, blocks: Callable[[Room], list[Json]]) -> Message:
    for room in ROOMS:
        built = blocks(room)
        if size(built) <= MAX_BLOCKS_JSON:
            break
    return Message(text, built)
