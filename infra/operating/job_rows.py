"""Job rows as an operator sees them: facts and timers, never the prompt; and two ways to help one on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bot.aws.result_objects import job_id_in
from bot.domain.errors import JobMoved
from bot.domain.job import Job, Outcome, State, failure_prefix, output_key, state_of
from bot.domain.steps import Step, next_step
from bot.domain.times import DAY, MINUTE, Times
from bot.domain.transitions import apply, is_open, is_unresolved
from bot.ports import Index
from bot.services import rows
from bot.services.core import Core
from bot.services.rows import Overtaken, hint, tokened
from infra.operating.errors import NoSuchJob, OperatingError, WrongMoment

FAR = 400 * DAY
"""Seconds ahead within which every timer lies."""

LATE = 5 * MINUTE
"""A timer that is due for so long: the sweep has missed it several times."""

PAGE = 50
TRIES = 5

ENDINGS = (
    Outcome.INTERRUPTED,
    Outcome.TIMED_OUT,
    Outcome.ENDPOINT_DOWN,
    Outcome.ENGINE_FAILED,
    Outcome.CANCELLED,
)
"""How an operator may end a job; what people then read stands in `bot.domain.messages`."""

TIMES = (
    "accepted_at",
    "announce_intent_at",
    "admitted_at",
    "submitted_at",
    "hold_until",
    "deliver_intent_at",
    "delivered_at",
    "done_at",
    "audited_at",
    "deleted_at",
    "removed_at",
    "patience_until",
    "next_check_at",
    "lease_until",
)
COUNTS = ("announcements", "submissions", "deliveries", "attempts", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job beside the others. `due_in` is seconds until its timer, negative when it is overdue."""

    id: str
    state: State
    outcome: str
    age: float
    due_in: float | None
    attempts: int
    person: str

    @property
    def is_late(self) -> bool:
        return self.due_in is not None and self.due_in < -LATE


def under_way(core: Core, *, limit: int) -> list[Row]:
    """Every job with a timer, the most overdue first."""
    found = _pages(core, Index.DUE, upto=core.clock.now() + FAR)
    return [_row(core, job) for job in islice(found, limit)]


def of_person(core: Core, person: str, *, limit: int) -> list[Row]:
    """Also the jobs that are over, newest first. `person` is "tenant/user" as the rows have it.

    Raises OperatingError for anything else.
    """
    tenant, _, user = person.partition("/")
    if not (tenant and user):
        raise OperatingError(f"{person!r} names nobody; write TENANT/USER, as imagine jobs show has them")
    return [_row(core, job) for job in islice(_pages(core, Index.PERSON, partition=person), limit)]


def job_row(core: Core, job_id: str) -> Job:
    """Raises NoSuchJob."""
    job = core.jobs.get(job_id) if job_id_in(job_id) == job_id else None
    if job is None:
        raise NoSuchJob(f"there is no job {job_id[:40]!r}; imagine jobs list shows those under way")
    return job


def facts_of(job: Job, *, now: float, times: Times) -> dict[str, object]:
    """What the row says, without the prompt and without addresses that answer by themselves."""
    request, due = job.request, next_step(job, now=now, times=times)
    return {
        "id": job.id,
        "state": state_of(job).value,
        "outcome": job.final_outcome.value if job.final_outcome else None,
        "next_step": due.step.value if due else None,
        "next_step_at": due.at if due else None,
        "tenant": job.tenant,
        "person": job.person,
        "sink": job.sink.kind.value,
        "pictures": f"{request.n} of {request.width}x{request.height}, {request.steps} steps",
        "cost_gpu_ms": job.cost,
        "parent": job.parent,
        "announced": job.announced_ref is not None,
        "lease_owner": job.lease_owner,
        "output_key": output_key(job),
        "failure_prefix": failure_prefix(job),
        **{name: getattr(job, name) for name in COUNTS},
        **{name: getattr(job, name) for name in TIMES if getattr(job, name)},
    }


def stored_objects(core: Core, job: Job) -> list[str]:
    """Keys that the endpoint has written for the job. Raises PeerError."""
    return [*core.objects.list(output_key(job)), *core.objects.list(failure_prefix(job))]


def retry(core: Core, job_id: str) -> Job:
    """Have a worker look at the job now instead of when its timer is due. No fact is changed.

    Raises NoSuchJob, WrongMoment for a job that has ended or that a worker holds.
    """
    for _ in range(TRIES):
        job = job_row(core, job_id)
        _need_open(core, job)
        after = tokened(core, apply(job, "wait", next_check_at=core.clock.now(), attempts=0))
        try:
            core.jobs.transition(after)
        except JobMoved:
            continue
        hint(core, after)
        return after
    raise WrongMoment(f"job {job_id} is being worked on: its row moved {TRIES} times while it was read")


def fail(core: Core, job_id: str, outcome: Outcome) -> Job:
    """Decide an undecided job; its person is told in the usual way. The first decision wins.

    Raises NoSuchJob, WrongMoment for a job that is decided.
    """
    job = job_row(core, job_id)
    if not is_unresolved(job):
        raise WrongMoment(_decided(job))
    try:
        decided = rows.fail(core, job, outcome)
    except Overtaken as gone:
        raise NoSuchJob(f"job {job_id} was deleted meanwhile") from gone
    if decided.result is None or decided.result.outcome is not outcome:
        raise WrongMoment(_decided(decided))
    hint(core, decided)
    return decided


def _need_open(core: Core, job: Job) -> None:
    now = core.clock.now()
    due = next_step(job, now=now, times=core.times)
    if due is None or (not is_open(job) and due.step is Step.AUDIT):
        ended = job.final_outcome.value if job.final_outcome else "ended"
        raise WrongMoment(
            f"job {job.id} is over ({ended}); to draw it again, its person presses Retry or Re-roll"
        )
    if job.lease_owner is not None and job.lease_until > now:
        raise WrongMoment(
            f"a worker holds job {job.id} for {job.lease_until - now:.0f} s more; look again then"
        )


def _decided(job: Job) -> str:
    outcome = job.final_outcome.value if job.final_outcome else "unknown"
    return (
        f"job {job.id} is decided already ({outcome}), and its person may see that at any moment; "
        f"imagine jobs retry {job.id} has it shown now"
    )


def _row(core: Core, job: Job) -> Row:
    now, due = core.clock.now(), job.next_check_at
    return Row(
        id=job.id,
        state=state_of(job),
        outcome=job.final_outcome.value if job.final_outcome else "",
        age=now - job.accepted_at,
        due_in=None if due is None else due - now,
        attempts=job.attempts,
        person=job.person,
    )


def _pages(core: Core, index: Index, *, partition: str = "", upto: float | None = None) -> Iterator[Job]:
    cursor: str | None = None
    while True:
        page = core.jobs.query(index, partition=partition, upto=upto, limit=PAGE, cursor=cursor)
        yield from page.jobs
        cursor = page.cursor
        if cursor is None:
            return
