"""Accepting work: from a typed line or a control to a durable row, inside Slack's three seconds.

An accepted request is durable before it is acknowledged. Nothing after the row may fail the accept:
the nudge is a hint, and the sweep finds the job without it.
"""

import dataclasses
import hashlib
from dataclasses import dataclass

from bot.domain.errors import (
    AlreadyExists,
    Ambiguous,
    GuardClosed,
    PeerError,
    PersonMoved,
    Refused,
    Unavailable,
)
from bot.domain.job import Address, Job, job_id
from bot.domain.person import Person, hold
from bot.domain.prices import cost_of
from bot.domain.prompt import Refusal, parse
from bot.domain.request import ImageRequest
from bot.ports import Guard
from bot.services.core import Caller, Core
from bot.services.gallery import find_job, find_picture, today
from bot.services.offers import check_files, offered
from bot.services.settings import Settings

HARD_STOP = 2.0
_TRIES = 4


class PromptRefused(Refused):
    """The line cannot be drawn as it stands; `refusal` says where and what would work."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("prompt")
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`fresh` is False when the same click or line was accepted before: then nothing new was started."""

    job: Job
    notes: tuple[str, ...] = ()
    fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One accepted-to-be request. `guard` names what may happen once within the click guard.

    `typed` is the line as it came, in which characters may hide that tidying turned into blanks.
    """

    request: ImageRequest
    source_key: str
    sink: Address
    guard: str
    parent: str | None = None
    notes: tuple[str, ...] = ()
    typed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a hold is measured by: GPU-milliseconds a day, and the queue's virtual time."""

    limit: int
    virtual_time: int


def imagine(core: Core, caller: Caller, *, text: str, source_key: str, sink: Address) -> Accepted:
    """Accept a typed line. Raises PromptRefused, Refused."""
    policy = core.policy
    parsed = parse(text, defaults=policy.defaults, caps=policy.caps, catalogue=offered(core))
    if isinstance(parsed, Refusal):
        raise PromptRefused(parsed)
    notes = tuple(note.message for note in parsed.notes)
    guard = f"line/{sink.parts.get('channel_id', '')}/{_digest(text)}"
    order = Order(
        request=parsed.request, source_key=source_key, sink=sink, guard=guard, notes=notes, typed=text
    )
    return accept(core, caller, order)


def reroll(core: Core, caller: Caller, *, job_ref: str, source_key: str, sink: Address) -> Accepted:
    """The same request with fresh seeds. Raises Refused."""
    job = find_job(core, caller, job_ref)
    if job.deleted_at is not None:
        raise Refused("deleted")
    check_files(core, job.request)
    request = dataclasses.replace(job.request, seed=None, subseed=None, subseed_strength=0.0)
    return accept(
        core, caller, _again(job, request, source_key=source_key, sink=sink, guard=f"reroll/{job.id}")
    )


def vary(core: Core, caller: Caller, *, job_ref: str, index: int, source_key: str, sink: Address) -> Accepted:
    """New pictures near picture `index`: its seed, with a second noise blended in. Raises Refused."""
    job = find_job(core, caller, job_ref)
    picture = find_picture(job, index)
    check_files(core, job.request)
    request = dataclasses.replace(
        job.request,
        seed=picture.seed,
        subseed=core.randomness.seed(),
        subseed_strength=core.policy.vary_strength,
    )
    order = _again(job, request, source_key=source_key, sink=sink, guard=f"vary/{job.id}/{index}")
    return accept(core, caller, order)


def accept(core: Core, caller: Caller, order: Order) -> Accepted:
    """Write the job, or find the one that the same source or click already made. Raises Refused.

    A write whose fate stays unknown is refused as "not_confirmed": if a card appears, it runs. So is one that
    could not be begun in time: a process that was frozen meanwhile must not accept what was long given up.
    """
    started = core.clock.now()
    _check_words(core, order)
    settings = core.settings
    if settings.paused is not None:
        raise Refused("paused", reason=settings.paused)
    job = _new_job(core, caller, order)
    existing = _create(core, job, order, _terms(core, caller, settings), started=started)
    if existing is not None:
        return Accepted(job=existing, notes=order.notes, fresh=False)
    try:
        core.queue.nudge(job.id)
    except PeerError as lost:
        core.journal.event("nudge_lost", job=job.id, code=lost.code)
    return Accepted(job=job, notes=order.notes)


def _new_job(core: Core, caller: Caller, order: Order) -> Job:
    now = core.clock.now()
    request = order.request.with_seed(core.randomness.seed())
    return Job(
        id=job_id(caller.tenant, order.source_key),
        tenant=caller.tenant,
        person=caller.user,
        sink=order.sink,
        request=request,
        cost=cost_of(request, core.policy.rate),
        tag=0,
        accepted_at=now,
        patience_until=now + core.times.queue_patience,
        quota_day=today(core),
        parent=order.parent,
        notes=order.notes,
        next_check_at=now + core.times.nudge_after,
        version=1,
        write_token=core.ids.token(),
    )


def _terms(core: Core, caller: Caller, settings: Settings) -> _Terms:
    limit = core.policy.daily_limit if caller.daily_limit is None else caller.daily_limit
    return _Terms(limit=limit, virtual_time=settings.virtual_time)


def _create(core: Core, job: Job, order: Order, terms: _Terms, *, started: float) -> Job | None:
    """None when the row is ours; else the row that was there first."""
    until = job.accepted_at + core.times.click_guard
    guard = Guard(key=f"{job.tenant}/{job.person}/{order.guard}", until=until)
    for _ in range(_TRIES):
        if core.clock.now() - started > HARD_STOP:
            break
        try:
            _create_once(core, job, guard, terms)
        except PersonMoved as moved:
            core.people.saw(moved.current or core.jobs.person(job.tenant, job.person))
            continue
        except (Ambiguous, Unavailable) as lost:
            core.journal.event("create_retried", job=job.id, code=lost.code)
            continue
        except (AlreadyExists, GuardClosed) as taken:
            existing = core.jobs.get(taken.job_id)
            if existing is not None:
                return existing
            continue
        return None
    raise Refused("not_confirmed")


def _create_once(core: Core, job: Job, guard: Guard, terms: _Terms) -> None:
    try:
        person = _hold(job, core.people.last_seen(job.tenant, job.person), terms)
    except Refused:  # what was remembered may be long settled
        person = _hold(job, core.jobs.person(job.tenant, job.person), terms)
    person = dataclasses.replace(person, write_token=job.write_token)
    held = dataclasses.replace(job, tag=person.tag, quota_day=person.day)
    core.jobs.create((held,), person=person, guard=guard, now=core.clock.now())
    core.people.saw(person)


def _hold(job: Job, person: Person, terms: _Terms) -> Person:
    """Around midnight clocks differ: a day that somebody's clock has begun is not taken back."""
    return hold(
        person,
        cost=job.cost,
        day=max(job.quota_day, person.day),
        limit=terms.limit,
        virtual_time=terms.virtual_time,
    )


def _again(job: Job, request: ImageRequest, *, source_key: str, sink: Address, guard: str) -> Order:
    return Order(request=request, source_key=source_key, sink=sink, guard=guard, parent=job.id)


def _check_words(core: Core, order: Order) -> None:
    words = (order.request.prompt, order.request.negative_prompt, order.typed)
    try:
        verdict = core.moderation.check_prompt("\n".join(words))
    except PeerError as down:
        raise Refused("not_moderated") from down
    if not verdict.allowed:
        raise Refused("blocked_prompt", rule=verdict.rule)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


__all__ = ["Accepted", "Order", "PromptRefused", "accept", "imagine", "reroll", "vary"]
