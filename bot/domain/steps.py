"""What a job needs next, as a pure function of its row: the worker and the sweep ask nothing else."""

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.job import Job, Outcome, State, state_of
from bot.domain.times import Times

MAX_SUBMISSIONS = 2
MAX_POSTS = 3


class Step(StrEnum):
    """One external effect or one decision; each is a function in `services/work.py`."""

    ANNOUNCE = "announce"
    FIND_ANNOUNCEMENT = "find_announcement"
    ADMIT = "admit"
    GIVE_UP_WAITING = "give_up_waiting"
    SUBMIT = "submit"
    LOOK = "look"
    GIVE_UP_REVIEW = "give_up_review"
    DELIVER = "deliver"
    CONFIRM = "confirm"
    FINISH = "finish"
    AUDIT = "audit"
    SHOW_ORIGINAL = "show_original"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """`step` may run from `at` on (seconds since the epoch)."""

    step: Step
    at: float


def next_step(job: Job, *, now: float, times: Times) -> Due | None:
    """The step the row calls for, or None when nothing is left to do until somebody asks for more."""
    state = state_of(job)
    if not state.is_open:
        return _after_end(job, now=now, times=times)
    if state in (State.RESOLVED, State.DELIVERING):
        return _after_result(job, now=now, times=times)
    if state is State.HELD:
        return Due(step=Step.GIVE_UP_REVIEW, at=_at(job.hold_until))
    if state is State.SUBMITTED:
        return Due(step=Step.LOOK, at=job.next_check_at or now)
    if state is State.ADMITTED:
        return Due(step=Step.SUBMIT, at=now)
    if now >= job.patience_until:
        return Due(step=Step.GIVE_UP_WAITING, at=now)
    if state is State.ANNOUNCED:
        return Due(step=Step.ADMIT, at=now)
    return _announcement(job, now=now, times=times)


def _announcement(job: Job, *, now: float, times: Times) -> Due:
    if job.announce_intent_at is None:
        return Due(step=Step.ANNOUNCE, at=now)
    return Due(step=Step.FIND_ANNOUNCEMENT, at=job.announce_intent_at + times.grace)


def _after_result(job: Job, *, now: float, times: Times) -> Due:
    if job.final_outcome is Outcome.CANNOT_POST:
        return Due(step=Step.FINISH, at=now)
    if job.announced_ref is None:
        return _announcement(job, now=now, times=times)
    if job.final_outcome is not Outcome.OK:
        return Due(step=Step.FINISH, at=now)
    if job.deliver_intent_at is None:
        return Due(step=Step.DELIVER, at=now)
    if job.delivered_at is None:
        return Due(step=Step.CONFIRM, at=now)
    return Due(step=Step.FINISH, at=now)


def _after_end(job: Job, *, now: float, times: Times) -> Due | None:
    """What people asked for once the outcome was there comes before our own look back."""
    if job.deleted_at is not None and job.removed_at is None:
        return Due(step=Step.REMOVE, at=now)
    if job.originals_wanted:
        return Due(step=Step.SHOW_ORIGINAL, at=now)
    if job.audited_at is None:
        return Due(step=Step.AUDIT, at=_at(job.done_at) + times.audit_after)
    return None


def _at(moment: float | None) -> float:
    return 0.0 if moment is None else moment
