"""What a person does to a job that exists: cancel while it is open, delete once it is done."""

from bot.domain.errors import JobMoved, PeerError, Refused
from bot.domain.job import Job, Outcome, State, state_of
from bot.domain.transitions import apply, is_open, is_unresolved
from bot.services.core import Caller, Core
from bot.services.gallery import find_job, own_jobs
from bot.services.rows import Overtaken, fail, reread, tokened
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
    """Take a finished job's pictures out of sight and out of the store; the row stays as the audit trail.

    Raises Refused: no_such_job, not_yours, still_drawing; PeerError when the sink could not do it
    (then nothing is marked deleted, and the control works again).
    """
    job = _own(core, caller, job_ref)
    if is_open(job):
        raise Refused("still_drawing")
    if job.deleted_at is not None:
        return job
    core.sink(job).remove(job)
    for picture in job.result.pictures if job.result else ():
        core.objects.delete(picture.key)
    return _mark_deleted(core, job)


def _own(core: Core, caller: Caller, job_ref: str) -> Job:
    job = find_job(core, caller, job_ref)
    if job.person != caller.user and not caller.is_admin:
        raise Refused("not_yours")
    return job


def _cancel_one(core: Core, job: Job) -> Job:
    """A cancel is one more writer of the result; the first one wins."""
    was_submitted = state_of(job) is State.SUBMITTED
    try:
        cancelled = fail(core, job, Outcome.CANCELLED)
    except Overtaken as gone:
        raise Refused("no_such_job", job=job.id) from gone
    try:
        if was_submitted:
            core.endpoint.cancel(inference_id(job))
        core.queue.nudge(job.id)
    except PeerError as lost:
        core.journal.event("cancel_hint_lost", job=job.id, code=lost.code)
    return cancelled


def _mark_deleted(core: Core, job: Job) -> Job:
    for _ in range(_TRIES):
        after = tokened(core, apply(job, "delete", deleted_at=core.clock.now()))
        try:
            core.jobs.transition(after)
        except JobMoved:
            job = reread(core, job)
        else:
            return after
    raise JobMoved(job.id)
