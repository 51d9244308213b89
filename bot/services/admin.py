"""Steering the service from Slack. Every change is written to the journal with who made it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bot.domain import messages
from bot.domain.errors import Refused
from bot.domain.job import Job, Outcome
from bot.domain.prompt.catalogue import ModelFile
from bot.domain.steering import LONGEST_AGE
from bot.domain.transitions import is_unresolved
from bot.ports import EndpointState, Index
from bot.services.core import Caller, Core
from bot.services.dispatch import dispatch
from bot.services.gallery import find_job
from bot.services.offers import offered
from bot.services.rows import IN_FLIGHT, Overtaken, fail, hint, month_key, resolve
from bot.services.settings import SETTINGS, change

QUEUE_SHOWN, PAGE = 20, 100
DEFAULT_REASON = "paused by an admin"


class Review(StrEnum):
    """What an admin decides about a held picture."""

    RELEASE = "release"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The service now. `burned` is this month's GPU time in milliseconds; `waiting` stops counting at 100."""

    endpoint: EndpointState
    paused: str | None
    waiting: int
    in_flight: int
    burned: int
    month_ceiling: int | None


def status(core: Core, caller: Caller) -> Status:
    """How things stand. Raises Refused("not_admin")."""
    _only_admins(caller)
    return Status(
        endpoint=core.endpoint.state(),
        paused=core.settings.paused,
        waiting=len(core.jobs.query(Index.WAITING, limit=100).jobs),
        in_flight=core.jobs.counter(IN_FLIGHT),
        burned=core.jobs.counter(month_key(core.clock.now())),
        month_ceiling=core.policy.month_ceiling,
    )


def pause(core: Core, caller: Caller, *, reason: str, at: float | None = None) -> str:
    """New jobs get the reason, queued ones wait. Returns the reason people are told.

    `at` is when it was asked for (seconds since 1970; now, where nobody says). It changes nothing where
    something else was asked for since: a call that was slow must not undo what its giver did next.
    """
    _only_admins(caller)
    told = reason.strip() or DEFAULT_REASON
    _set_paused(core, told, at=at)
    core.journal.event("paused", tenant=caller.tenant, by=caller.user)
    return told


def resume(core: Core, caller: Caller, *, at: float | None = None) -> int:
    """Take jobs again; returns how many waiting ones entered at once. `at` is as for `pause`."""
    _only_admins(caller)
    _set_paused(core, None, at=at)
    core.journal.event("resumed", tenant=caller.tenant, by=caller.user)
    return len(dispatch(core))


def queue(core: Core, caller: Caller) -> tuple[Job, ...]:
    """The workspace's open jobs, oldest first, at most 20."""
    _only_admins(caller)
    return core.jobs.query(Index.OPEN, partition=caller.tenant, limit=QUEUE_SHOWN).jobs


def purge(core: Core, caller: Caller) -> int:
    """Forget the workspace's jobs that wait, one visible outcome each; returns how many.

    What the endpoint has already is drawn.
    """
    _only_admins(caller)
    purged = [job for job in _waiting(core, caller) if _forget(core, job)]
    core.journal.event("purged", tenant=caller.tenant, by=caller.user, count=len(purged))
    return len(purged)


def _waiting(core: Core, caller: Caller) -> Iterator[Job]:
    cursor = None
    while True:
        page = core.jobs.query(Index.OPEN, partition=caller.tenant, limit=PAGE, cursor=cursor)
        yield from (job for job in page.jobs if job.submissions == 0 and is_unresolved(job))
        cursor = page.cursor
        if cursor is None:
            return


def _forget(core: Core, job: Job) -> bool:
    """False where somebody else decided it first."""
    try:
        decided = fail(core, job, Outcome.PURGED)
    except Overtaken:
        return False
    hint(core, job)
    return decided.final_outcome is Outcome.PURGED


def models(core: Core, caller: Caller) -> list[str]:
    """What is drawn with, a line each: the release, one that an update brings, every file with its flags."""
    _only_admins(caller)
    release, live = offered(core).release, core.endpoint.state().model
    return [
        messages.MODEL_LIVE.format(model=live) if live else messages.MODEL_UNKNOWN,
        messages.RELEASE_LIVE.format(release=release.name) if release.name else messages.RELEASE_UNKNOWN,
        *([messages.RELEASE_NEWER.format(release=release.newer)] if release.newer else []),
        *(messages.FILE_COMING.format(kind=file.kind, name=file.name) for file in release.coming),
        *(_file_line(file, refused=offered(core).refusal(file.kind, file.name)) for file in release.files),
        *([] if release.is_whole else [messages.MORE_FILES]),
    ]


def _file_line(file: ModelFile, *, refused: str | None) -> str:
    alias = f" ({file.alias})" if file.alias else ""
    flags = [file.architecture, "not for commercial use" if file.non_commercial else ""]
    flags += [
        "switched off" if file.disabled else "",
        "refused here" if refused and not file.disabled else "",
    ]
    return ", ".join(part for part in (f"{file.kind} {file.name}{alias}", *flags) if part)


def review(core: Core, caller: Caller, *, job_ref: str, verdict: Review) -> Job:
    """Release or refuse a held picture. Raises Refused: not_admin, no_such_job, not_held."""
    _only_admins(caller)
    job = find_job(core, caller, job_ref)
    if job.held is None or job.result is not None:
        raise Refused("not_held", job=job.id)
    core.journal.event("reviewed", job=job.id, by=caller.user, verdict=verdict)
    if verdict is Review.RELEASE:
        return resolve(core, job, replace(job.held, at=core.clock.now()))
    return fail(core, job, Outcome.BLOCKED)


def _set_paused(core: Core, reason: str | None, *, at: float | None) -> None:
    asked_at = core.clock.now() if at is None else at

    def later(value: Mapping[str, Any]) -> Mapping[str, Any]:
        is_overtaken = 0 < value.get("asked_at", 0.0) - asked_at < LONGEST_AGE  # more is a clock put back
        return value if is_overtaken else {**value, "paused": reason, "asked_at": asked_at}

    change(core.cells, SETTINGS, later)
    core.bulletin.forget()


def _only_admins(caller: Caller) -> None:
    if not caller.is_admin:
        raise Refused("not_admin")
