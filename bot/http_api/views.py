"""A job as its owner sees it: where it stands, and what came of it."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from bot.domain import messages
from bot.domain.job import Job, Outcome, State, state_of
from bot.ports import Stage

LINK_SECONDS = 300
"""How long a link to a picture opens it. Who has the link needs no key, so it is short."""


class Standing(StrEnum):
    """`state` in an answer: the few things a client has to tell apart."""

    WAITING = "waiting"
    DRAWING = "drawing"
    HELD = "held"
    DELIVERING = "delivering"
    ENDED = "ended"
    DELETED = "deleted"


_STANDINGS: Mapping[State, Standing] = {
    State.ACCEPTED: Standing.WAITING,
    State.ANNOUNCED: Standing.WAITING,
    State.ADMITTED: Standing.DRAWING,
    State.SUBMITTED: Standing.DRAWING,
    State.HELD: Standing.HELD,
    State.RESOLVED: Standing.DELIVERING,
    State.DELIVERING: Standing.DELIVERING,
    State.DONE: Standing.ENDED,
    State.AUDITED: Standing.ENDED,
}

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.OK: "Drawn.",
    Outcome.CANCELLED: "Cancelled. Nothing was charged.",
    Outcome.PURGED: "An admin cancelled every waiting job. Nothing was charged. Send it again.",
    Outcome.WAITED_TOO_LONG: "It waited too long for its turn. Nothing was charged. Send it again.",
    Outcome.TIMED_OUT: "It was not drawn in time. Nothing was charged. Ask for fewer steps.",
    Outcome.INTERRUPTED: "The drawing was interrupted twice. Nothing was charged. Send it again.",
    Outcome.ENGINE_FAILED: "The engine failed. Nothing was charged. Send it again, or tell an admin.",
    Outcome.ENGINE_REFUSED: (
        "The engine does not take this. Nothing was charged. Send it without model, sampler and loras."
    ),
    Outcome.OUT_OF_MEMORY: "The GPU's memory is too small for it. Nothing was charged. Ask for less.",
    Outcome.UNKNOWN_MODEL: "The endpoint lacks that model or LoRA. Nothing was charged. See GET /v1/models.",
    Outcome.BAD_PICTURE: "The engine sent back no picture. Nothing was charged. Send it again.",
    Outcome.BLOCKED: "The rules here hold the picture back. Nothing was charged. Other words may work.",
    Outcome.NOT_REVIEWED: "It was held and nobody looked in time. Nothing was charged. Ask an admin.",
    Outcome.ENDPOINT_DOWN: "The endpoint could not be reached. Nothing was charged. Send it again later.",
    Outcome.BUDGET_SPENT: "This month's budget is spent. Nothing was charged. It is new on the first.",
    Outcome.CANNOT_POST: "It could not be shown anywhere, so nothing was drawn.",
    Outcome.CANNOT_DELIVER: "It was drawn, but could not be delivered. Nothing was charged. Send it again.",
}
"""What became of a job, in words for somebody who writes programs."""


class PictureLinks(Protocol):
    """Makes addresses that open one stored picture for a while, without a key."""

    def link(self, key: str, *, seconds: int) -> str:
        """An absolute URL. Makes no call."""
        ...


def generation(stage: Stage, links: PictureLinks, *, now: float, is_final: bool = False) -> dict[str, Any]:
    """The document of one job. `is_final`: the outcome stands, though the row is not closed yet."""
    job = stage.job
    standing = standing_of(job, is_final=is_final)
    ended = standing is Standing.ENDED
    outcome = job.final_outcome if ended or standing is Standing.DELETED else None
    return {
        **summary(job, is_final=is_final),
        "stage": _sentence(stage, standing, outcome),
        "place": stage.place if standing is Standing.WAITING else None,
        "outcome": outcome,
        "pictures": _pictures(job, links, now=now) if ended and outcome is Outcome.OK else [],
        "model": job.result.model if job.result is not None else job.request.model,
        "notes": [*job.notes, *(job.result.notes if job.result is not None else ())],
        "request": _request(job),
    }


def summary(job: Job, *, is_final: bool = False) -> dict[str, Any]:
    """What a list says of one job; asks nobody."""
    standing = standing_of(job, is_final=is_final)
    ended = standing in (Standing.ENDED, Standing.DELETED)
    at = job.delivered_at or (job.result.at if job.result is not None else None)
    return {
        "id": job.id,
        "state": standing,
        "outcome": job.final_outcome if ended else None,
        "created_at": _moment(job.accepted_at),
        "ended_at": _moment(at) if ended and at is not None else None,
        "url": url_of(job),
    }


def url_of(job: Job) -> str:
    """Where the job is read, relative to the service."""
    return f"/v1/generations/{job.id}"


def standing_of(job: Job, *, is_final: bool = False) -> Standing:
    """The state as clients are told."""
    if job.deleted_at is not None:
        return Standing.DELETED
    return Standing.ENDED if is_final or is_settled(job) else _STANDINGS[state_of(job)]


def is_settled(job: Job) -> bool:
    """Whether the outcome stands. It may still wait to be told to a callback address that fails; whoever asks
    meanwhile need not wait for that.
    """
    if job.result is None or job.announced_ref is None:
        return False
    return job.delivered_at is not None or job.final_outcome is not Outcome.OK


def _sentence(stage: Stage, standing: Standing, outcome: Outcome | None) -> str:
    if standing is Standing.DELETED:
        return "Its pictures were deleted."
    if outcome is not None:
        return OUTCOMES[outcome]
    if standing is Standing.DELIVERING:
        return "Drawn. Being delivered." if stage.job.final_outcome is Outcome.OK else "Being closed."
    warmth, state = stage.endpoint.warmth, state_of(stage.job)
    return messages.stage_line(state, warmth=warmth, place=stage.place, step=stage.step, steps=stage.steps)


def _pictures(job: Job, links: PictureLinks, *, now: float) -> list[dict[str, Any]]:
    expires = _moment(now + LINK_SECONDS)
    return [
        {
            "url": links.link(picture.key, seconds=LINK_SECONDS),
            "expires_at": expires,
            "seed": picture.seed,
            "width": picture.width,
            "height": picture.height,
            "sha256": picture.sha256,
        }
        for picture in (job.result.pictures if job.result is not None else ())
    ]


def _request(job: Job) -> dict[str, Any]:
    """What is drawn, with everything that was left open; sent again it draws the same."""
    asked = asdict(job.request)
    start = asked.pop("init_image")
    return {**asked, "has_init_image": start is not None}


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
