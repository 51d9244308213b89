"""What a person does to a job that exists: cancel while it is open, delete once it is done."""

from collections.abc import Callable

from bot.domain.errors import JobMoved, PeerError, Refused
from bot.domain.job import Job, Outcome
from bot.domain.transitions import apply, is_open, is_unresolved
from bot.services.core import Caller, Core
from bot.services.gallery import find_job, find_picture, own_jobs
from bot.services.rows import Overtaken, fail, hint, reread, tokened
from bot.services.submissions import inference_id

ALL = "all"
_TRIES = 5


def cancel(core: Core, caller: Caller, *, job_ref: str | None) -> tuple[Job, ...]:
    """Cancel one job, the caller's latest open one (None) or all of them ("all"); returns those cancelled.

    A drawing under way stops between two steps where the endpoint can do that; elsewhere its result is
    discarded. Raises Refused: no_such_job, not_yours, too_late_to_cancel, nothing_to_cancel.
    """
    if job_ref is None or job_ref == ALL:
        return tuple(_cancel_one(core, job) for job in _open_jobs(core, caller, job_ref))
    job = _own(core, caller, job_ref)
    if not is_unresolved(job):
        raise Refused("too_late_to_cancel", job=job.id)
    return (_cancel_one(core, job),)


def _open_jobs(core: Core, caller: Caller, job_ref: str | None) -> tuple[Job, ...]:
    """The caller's undecided jobs, newest first."""
    found = tuple(job for job in own_jobs(core, caller) if is_unresolved(job))
    if not found:
        raise Refused("nothing_to_cancel")
    return found if job_ref == ALL else found[:1]


def delete(core: Core, caller: Caller, *, job_ref: str) -> Job:
    """Have a finished job taken out of sight and out of the store; the row stays as the audit trail.

    From here on the job answers as deleted; a worker removes what there is, and tries until it is gone.
    Raises Refused: no_such_job, not_yours, still_drawing.
    """
    job = _own(core, caller, job_ref)
    if is_open(job):
        raise Refused("still_drawing")
    if job.deleted_at is not None:
        return job
    return _ask(core, job, "delete", lambda _row: {"deleted_at": core.clock.now(), "originals_wanted": ()})


def want_original(core: Core, caller: Caller, *, job_ref: str, index: int) -> Job:
    """Have picture `index` (from 0) shown at full size, once, whoever asks.

    Raises Refused: no_such_job, no_such_picture, still_drawing, deleted, full_size_there, full_size_underway.
    """
    job = find_job(core, caller, job_ref)
    picture = find_picture(job, index)
    if is_open(job):
        raise Refused("still_drawing")
    if not core.objects.list(picture.key):
        raise Refused("no_such_picture")

    def wanted(row: Job) -> dict[str, object]:
        for found, code in (
            (row.originals_shown, "full_size_there"),
            (row.originals_wanted, "full_size_underway"),
        ):
            if index in found:
                raise Refused(code, number=index + 1)
        return {"originals_wanted": (*row.originals_wanted, index)}

    return _ask(core, job, "want_original", wanted)


def _own(core: Core, caller: Caller, job_ref: str) -> Job:
    job = find_job(core, caller, job_ref)
    if job.person != caller.user and not caller.is_admin:
        raise Refused("not_yours")
    return job


def _cancel_one(core: Core, job: Job) -> Job:
    """A cancel is one more writer of the result; the first one wins."""
    try:
        cancelled = fail(core, job, Outcome.CANCELLED)
    except Overtaken as gone:
        raise Refused("no_such_job", job=job.id) from gone
    if cancelled.submissions > 0:
        _stop_drawing(core, cancelled)
    hint(core, job)
    return cancelled


def _stop_drawing(core: Core, job: Job) -> None:
    try:
        core.endpoint.cancel(inference_id(job))
    except PeerError as lost:
        core.journal.event("cancel_hint_lost", job=job.id, code=lost.code)


def _ask(core: Core, job: Job, name: str, facts: Callable[[Job], dict[str, object]]) -> Job:
    """Write a wish into the row, durably, and have a worker look at it."""
    for _ in range(_TRIES):
        due = {"next_check_at": core.clock.now(), "attempts": 0}
        after = tokened(core, apply(job, name, **facts(job), **due))
        try:
            core.jobs.transition(after)
        except JobMoved:
            job = reread(core, job)
        else:
            hint(core, job)
            return after
    raise JobMoved(job.id)
