"""What a card may truthfully say about a job right now."""

from bot.domain.job import Job, State, state_of
from bot.domain.transitions import is_unresolved
from bot.ports import Index, Stage
from bot.services.core import Core

FARTHEST_PLACE = 100


def stage_of(core: Core, job: Job, *, step: int | None = None, steps: int | None = None) -> Stage:
    """The stage of a job; a place is only known (and asked for) while it waits in our own queue."""
    waits = is_unresolved(job) and state_of(job) in (State.ACCEPTED, State.ANNOUNCED)
    return Stage(
        job=job,
        endpoint=core.endpoint.state(),
        place=place_of(core, job) if waits else None,
        step=step,
        steps=steps,
    )


def news_of(stage: Stage) -> str:
    """What a waiting person would want to hear of when it changes."""
    return f"{stage.endpoint.warmth}/{'' if stage.place is None else stage.place}"


def place_of(core: Core, job: Job) -> int:
    """How many waiting jobs have a smaller tag, at most 100 (then: "100 or more")."""
    ahead = core.jobs.query(Index.WAITING, upto=job.tag, limit=FARTHEST_PLACE).jobs
    return sum(1 for other in ahead if other.id != job.id)
