"""Writing job rows: who may work on one, and how a write behaves when another was faster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.domain.errors import IllegalTransition, JobMoved, PeerError
from bot.domain.job import Job, Outcome, Picture, Result, SinkKind, State, state_of
from bot.domain.person import settlement_of
from bot.domain.transitions import Change, apply, apply_all, is_unresolved
from bot.ports import CounterChange, CounterRaise
from bot.services.core import Core

IN_FLIGHT = "in_flight"
_TRIES = 6


Counter = CounterChange | CounterRaise
Derive = Callable[[Job], dict[str, object]]


class Overtaken(Exception):
    """Another writer was faster before the effect: read the row again and decide anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """One pass of one worker over one job. Its lease rides on every write, so taking it costs no call."""

    core: Core
    owner: str

    def may_take(self, job: Job) -> bool:
        """A job in another hand is left alone; its timer brings it back once the lease is over."""
        owner = job.lease_owner
        if owner is None or owner == self.owner or job.lease_until <= self.core.clock.now():
            return True
        return self._needs_no_lease(job) or self.core.process.outlived(owner)

    def _needs_no_lease(self, job: Job) -> bool:
        """States in which two workers at once do no harm: a share is only looked for until it is overdue. A
        callback ends in a call, and two workers would make it twice.
        """
        if state_of(job) is State.DELIVERING:
            if job.sink.kind is SinkKind.CALLBACK:
                return False
            overdue = (job.deliver_intent_at or 0.0) + self.core.times.share_patience
            return self.core.clock.now() < overdue
        return state_of(job) in (State.ANNOUNCED, State.SUBMITTED, State.HELD)

    def intend(self, job: Job, name: str, *, check_in: float, **facts: object) -> Job:
        """Write an intent before its effect. Raises Overtaken: then there must be no effect."""
        return self.intend_all(job, [(name, {"attempts": job.attempts, **facts})], check_in=check_in)

    def intend_all(
        self, job: Job, changes: Sequence[Change], *, check_in: float, counters: Sequence[Counter] = ()
    ) -> Job:
        """Write facts and the intent they lead to. Raises Overtaken, CeilingReached: then no effect."""
        after = self._stamped(job, changes, check_in=check_in)
        try:
            self.core.jobs.transition(after, counters=counters)
        except JobMoved as moved:
            raise Overtaken from moved
        return after

    def fact(
        self, job: Job, name: str, *, check_in: float, derive: Derive | None = None, **facts: object
    ) -> Job:
        """Write what has happened, also when the row moved meanwhile: facts must not be lost.

        `derive` gives facts that depend on the row as it is then. Raises Overtaken when the row no longer
        has a place for it.
        """
        for _ in range(_TRIES):
            written = {"attempts": 0, **facts, **(derive(job) if derive else {})}
            try:
                after = self._stamped(job, [(name, written)], check_in=check_in)
                self.core.jobs.transition(after)
            except JobMoved:
                job = reread(self.core, job)
            except IllegalTransition as illegal:
                raise Overtaken from illegal
            else:
                return after
        raise Overtaken

    def retry_later(
        self, job: Job, name: str = "wait", *, asked: float | None = None, **facts: object
    ) -> None:
        """Write down a failed try, give the lease back, and ask to be woken when the next one is due.

        The sweep alone would make minutes of seconds.
        """
        wait = self.core.times.back_off(job.attempts, asked=asked)
        self.rest(job, name, until_in=wait, attempts=job.attempts + 1, **facts)
        hint(self.core, job, delay=wait)

    def rest(self, job: Job, name: str = "wait", *, until_in: float | None, **facts: object) -> None:
        """Give the lease back and come again in `until_in` seconds (None: never).

        When another writer was faster, its timer stands and nothing is written.
        """
        try:
            self.core.jobs.transition(self._released(job, name, until_in=until_in, facts=facts))
        except JobMoved:
            self.core.journal.event("rest_overtaken", job=job.id, step=name)

    def finish(self, job: Job, *, until_in: float, seen: Sequence[Change] = ()) -> None:
        """The outcome is visible: write `done_at` and settle the person's quota in one transaction.

        `seen` are facts found out just before, which ride on the same write. Raises Overtaken.
        """
        facts = {"done_at": self.core.clock.now(), **self._free(until_in)}
        done = tokened(self.core, apply_all(job, [*seen, ("finish", facts)]))
        try:
            self.core.jobs.transition(done, settlement=settlement_of(done))
        except JobMoved as moved:
            raise Overtaken from moved

    def _released(self, job: Job, name: str, *, until_in: float | None, facts: dict[str, object]) -> Job:
        return tokened(self.core, apply(job, name, **{**self._free(until_in), **facts}))

    def _free(self, until_in: float | None) -> dict[str, object]:
        check_at = None if until_in is None else self.core.clock.now() + until_in
        return {"lease_owner": None, "lease_until": 0.0, "next_check_at": check_at, "attempts": 0}

    def _stamped(self, job: Job, changes: Sequence[Change], *, check_in: float) -> Job:
        now = self.core.clock.now()
        lease = {"lease_owner": self.owner, "lease_until": now + self.core.times.lease}
        timed = {**lease, "next_check_at": now + check_in}
        after = apply_all(job, [(name, {**timed, **facts}) for name, facts in changes])
        return tokened(self.core, after)


def hint(core: Core, job: Job, *, delay: float = 0.0) -> None:
    """Have a worker look at the job in `delay` seconds; the sweep does so anyway."""
    try:
        core.queue.nudge(job.id, delay=delay)
    except PeerError as lost:
        core.journal.event("nudge_lost", job=job.id, code=lost.code)


def resolve(core: Core, job: Job, result: Result) -> Job:
    """Decide a job. The first writer wins; a later result is counted and changes nothing.

    Returns the row as it stands afterwards. An announcement under way keeps its lease: its reference
    is still to be written.
    """
    for _ in range(_TRIES):
        if not is_unresolved(job):
            core.journal.event("late_result", job=job.id, outcome=result.outcome)
            return job
        lease = {"lease_owner": None, "lease_until": 0.0} if state_of(job) is not State.ACCEPTED else {}
        facts = {"result": result, "attempts": 0, "next_check_at": core.clock.now(), **lease}
        after = tokened(core, apply(job, "resolve", **facts))
        try:
            core.jobs.transition(after, counters=_settled_counters(job, result))
        except JobMoved:
            job = reread(core, job)
        else:
            core.journal.event("resolved", job=job.id, outcome=result.outcome)
            return after
    raise JobMoved(job.id)


def fail(core: Core, job: Job, outcome: Outcome) -> Job:
    """Decide a job without pictures."""
    return resolve(core, job, Result(outcome=outcome, at=core.clock.now()))


def picture_of(result: Result, index: int) -> Picture | None:
    """The picture under a control's index, None when there is none."""
    return result.pictures[index] if 0 <= index < len(result.pictures) else None


def reread(core: Core, job: Job) -> Job:
    """The row as it is now. Raises Overtaken when it was deleted."""
    current = core.jobs.get(job.id)
    if current is None:
        raise Overtaken
    return current


def month_key(now: float) -> str:
    """The money ledger's counter for the month (UTC) of `now`: GPU-milliseconds burned, or booked to be."""
    moment = datetime.fromtimestamp(now, tz=UTC)
    return f"burned/{moment:%Y-%m}"


def _settled_counters(job: Job, result: Result) -> tuple[CounterChange, ...]:
    """Leaving the window frees its place; the ledger books what the GPU really burned, delivered or not.

    It does so in the month of the admission, which booked the cost.
    """
    if job.admitted_at is None:
        return ()
    burned = round(result.gpu_seconds * 1000) or job.cost * job.submissions
    freed = CounterChange(key=IN_FLIGHT, delta=-1)
    if burned == job.cost:
        return (freed,)
    return (freed, CounterChange(key=month_key(job.admitted_at), delta=burned - job.cost))


def tokened(core: Core, row: Job) -> Job:
    """The row under a fresh name for the attempt to write it."""
    return replace(row, write_token=core.ids.token())
