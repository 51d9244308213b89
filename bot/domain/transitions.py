"""The transition table: every way a job row may change, as data.

Worker, simulator, tests and the diagram in docs/architecture.md read this one table. A transition
names the states it may leave, the state it reaches, the facts it may write and who writes it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.errors import IllegalTransition
from bot.domain.job import Job, State, state_of


class Writer(StrEnum):
    """Who performs a transition."""

    WORKER = "worker"
    DISPATCHER = "dispatcher"
    RESULT = "result"
    SWEEP = "sweep"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """`after` None means the state stays as it is."""

    name: str
    before: frozenset[State]
    after: State | None
    writes: frozenset[str]
    by: frozenset[Writer]


Change = tuple[str, Mapping[str, object]]
"""A transition by name and the facts it writes."""

_UNRESOLVED = frozenset({State.ACCEPTED, State.ANNOUNCED, State.ADMITTED, State.SUBMITTED, State.HELD})
_SETTLING = frozenset({State.RESOLVED, State.DELIVERING})
_OPEN = _UNRESOLVED | _SETTLING
_ENDED = frozenset({State.DONE, State.AUDITED})
_UNANNOUNCED = frozenset({State.ACCEPTED, State.RESOLVED})
_DELIVERY = "delivery_refs deliveries deliver_intent_at"
BOOKKEEPING = frozenset({"attempts", "next_check_at", "lease_owner", "lease_until", "told"})


def _row(
    name: str, before: set[State] | frozenset[State], after: State | None, writes: str, by: str
) -> Transition:
    return Transition(
        name=name,
        before=frozenset(before),
        after=after,
        writes=frozenset(writes.split()) | BOOKKEEPING,
        by=frozenset(Writer(writer) for writer in by.split()),
    )


TRANSITIONS: Mapping[str, Transition] = {
    row.name: row
    for row in (
        _row("wait", set(State), None, "", "worker sweep"),
        _row("intend_announce", _UNANNOUNCED, None, "announcements announce_intent_at", "worker"),
        _row("unannounce", _UNANNOUNCED, None, "announcements announce_intent_at", "worker"),
        _row("announce", {State.ACCEPTED}, State.ANNOUNCED, "announced_ref", "worker"),
        _row("announce_late", {State.RESOLVED}, State.RESOLVED, "announced_ref", "worker"),
        _row("admit", {State.ANNOUNCED}, State.ADMITTED, "admitted_at", "dispatcher"),
        _row("intend_submit", {State.ADMITTED}, State.SUBMITTED, "submissions submitted_at", "worker"),
        _row("resubmit", {State.SUBMITTED}, State.SUBMITTED, "submissions submitted_at", "worker"),
        _row("unsubmit", {State.SUBMITTED}, None, "submissions submitted_at", "worker"),
        _row("hold", {State.SUBMITTED}, State.HELD, "held hold_until", "result sweep"),
        _row("resolve", _UNRESOLVED, State.RESOLVED, "result", "result sweep worker dispatcher person"),
        _row("intend_deliver", {State.RESOLVED}, State.DELIVERING, _DELIVERY, "worker"),
        _row("undeliver", {State.DELIVERING}, State.RESOLVED, _DELIVERY, "worker"),
        _row("deliver", {State.DELIVERING}, State.DELIVERING, "delivered_at", "worker"),
        _row("give_up_delivery", _SETTLING, None, "undelivered", "worker"),
        _row("finish", _SETTLING, State.DONE, "done_at", "worker"),
        _row("audit", {State.DONE}, State.AUDITED, "audited_at", "worker"),
        _row("want_original", _ENDED, None, "originals_wanted", "person"),
        _row("show_original", _ENDED, None, "originals_wanted originals_shown", "worker"),
        _row("delete", _ENDED, None, "deleted_at originals_wanted", "person"),
        _row("remove", _ENDED, None, "removed_at", "worker"),
    )
}


def apply(job: Job, name: str, **facts: object) -> Job:
    """The row after transition `name` with `facts` written.

    Raises IllegalTransition when the table has no such way: a programming error, never input.
    """
    row = TRANSITIONS[name]
    if state_of(job) not in row.before:
        raise IllegalTransition(f"{name} from {state_of(job)}")
    if not facts.keys() <= row.writes:
        raise IllegalTransition(f"{name} writes {sorted(facts.keys() - row.writes)}")
    after = dataclasses.replace(job, version=job.version + 1, **facts)  # type: ignore[arg-type]
    reached = state_of(after)
    if row.after is not None and reached is not row.after:
        raise IllegalTransition(f"{name} reaches {reached}")
    return after


def apply_all(job: Job, changes: Sequence[Change]) -> Job:
    """The row after several transitions in one write. Raises IllegalTransition, see `apply`."""
    after = job
    for name, facts in changes:
        after = apply(after, name, **facts)
    return dataclasses.replace(after, version=job.version + 1)


def is_unresolved(job: Job) -> bool:
    """True while nothing has decided the job: a result, a cancel or a deadline may still win."""
    return state_of(job) in _UNRESOLVED


def is_open(job: Job) -> bool:
    """True while a person still waits for the outcome."""
    return state_of(job) in _OPEN
