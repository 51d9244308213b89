"""Admission: waiting jobs enter the endpoint's window in fair order between people.

There is no dispatcher lease: the window is a counter with a ceiling that moves in the same
transaction as the row, so any number of dispatchers at once admit no job twice and no job too many
(docs/adr/0004). The window keeps SageMaker's own backlog visible to its scaler without letting one
person fill it.
"""

from bot.domain.errors import CeilingReached, JobMoved, PeerError
from bot.domain.job import Job, Outcome
from bot.domain.transitions import apply
from bot.ports import CounterChange, CounterRaise, Index
from bot.services.core import Core
from bot.services.rows import IN_FLIGHT, Counter, Overtaken, fail, month_key, tokened
from bot.services.settings import VIRTUAL_TIME


def dispatch(core: Core, *, in_hand: str | None = None) -> tuple[str, ...]:
    """Admit what fits; returns the ids admitted. Paused: nothing.

    Workers are told of every admitted job but the one that the caller has in hand.
    """
    if core.settings.paused is not None:
        return ()
    window = core.endpoint.state().window
    admitted: list[Job] = []
    for job in core.jobs.query(Index.WAITING, limit=max(1, window)).jobs:
        try:
            admitted.append(_admit(core, job, window=window))
        except CeilingReached as full:
            if full.key == IN_FLIGHT:
                break
            _refuse(core, job)
        except JobMoved:
            continue
    _tell_workers(core, [job.id for job in admitted if job.id != in_hand])
    return tuple(job.id for job in admitted)


def _admit(core: Core, job: Job, *, window: int) -> Job:
    now = core.clock.now()
    freed = {"lease_owner": None, "lease_until": 0.0}  # of the hand that let it wait: the next one may submit
    timed = {"admitted_at": now, "next_check_at": now + core.times.nudge_after}
    after = tokened(core, apply(job, "admit", **timed, **freed))
    core.jobs.transition(after, counters=admission_of(core, job, at=now, window=window))
    return after


def admission_of(core: Core, job: Job, *, at: float, window: int) -> tuple[Counter, ...]:
    """What changes with a job's row when it is admitted: a place is taken, the queue's time moves on, and its
    cost is booked until it is known what it burned.

    The month's ceiling is checked here, the only place where two jobs cannot both pass it.
    """
    return (
        CounterChange(key=IN_FLIGHT, delta=1, ceiling=window),
        CounterRaise(key=VIRTUAL_TIME, least=job.tag),
        CounterChange(key=month_key(at), delta=job.cost, ceiling=core.policy.month_ceiling),
    )


def _refuse(core: Core, job: Job) -> None:
    try:
        fail(core, job, Outcome.BUDGET_SPENT)
    except Overtaken:
        core.journal.event("refuse_overtaken", job=job.id)


def _tell_workers(core: Core, job_ids: list[str]) -> None:
    """Hint at the admitted jobs; the sweep finds them anyway."""
    for job_id in job_ids:
        try:
            core.queue.nudge(job_id)
        except PeerError as lost:
            core.journal.event("nudge_lost", job=job_id, code=lost.code)
