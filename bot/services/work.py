"""A worker's pass over one job: do what the row calls for until it has to wait.

Every effect that must not happen twice stands between an intent written before and a fact written
after. A pass may stop anywhere, also by the death of the process: the row then says what is left, and
its timer brings the next pass.
"""

import dataclasses
from collections.abc import Callable

from bot.domain.errors import (
    Ambiguous,
    Busy,
    CeilingReached,
    JobMoved,
    PeerError,
    Rejected,
    Unauthorized,
    Unavailable,
)
from bot.domain.job import Job, Outcome, SinkKind, State, state_of
from bot.domain.steps import MAX_POSTS, MAX_SUBMISSIONS, Step, next_step
from bot.domain.transitions import Change, apply_all, is_unresolved
from bot.ports import Fate, Stage
from bot.services.core import Core
from bot.services.dispatch import admission_of, dispatch
from bot.services.gallery import stored_keys
from bot.services.progress import show_stage
from bot.services.results import collect, failed
from bot.services.rows import Hand, Overtaken, fail, hint, reread, resolve
from bot.services.stages import news_of, stage_of
from bot.services.submissions import inference_id, submission_of
from bot.services.waking import wake_for_work

MAX_PASS = 24
MOST_TRIES = 8
TOLD_TOO_MUCH = "entering"
"""What a card told whose job then found no place: unlike any news, so the card is put right at once."""


def advance(core: Core, job_id: str) -> None:
    """Take a job as far as it goes now. Unknown jobs and jobs in another hand are left alone.

    Raises PeerError when the row itself cannot be read or written: the sweep comes again.
    """
    job = core.jobs.get(job_id)
    if job is None:
        core.journal.event("unknown_job", job=job_id)
    _advance_row(core, job)


def _advance_row(core: Core, job: Job | None) -> None:
    """Go on from a row that was read or written just now."""
    hand = Hand(core=core, owner=f"{core.process.boot}:{core.ids.token()}")
    due = _unless_backing_off(core, job)
    for _ in range(MAX_PASS):
        if due is None or not hand.may_take(due):
            return
        job_id = due.id
        try:
            due = _take_step(hand, due)
        except (Overtaken, JobMoved):
            due = _unless_backing_off(core, core.jobs.get(job_id))


def _unless_backing_off(core: Core, job: Job | None) -> Job | None:
    """The row, unless a failed try of somebody's waits for its back-off, whatever hints arrive meanwhile.

    A pass that has begun is past that: it looks at its own delivery at once, not when its lease is over.
    """
    waits = job is not None and job.attempts > 0 and (job.next_check_at or 0.0) > core.clock.now()
    return None if waits else job


def _take_step(hand: Hand, job: Job) -> Job | None:
    """One step; the row afterwards, or None when the pass ends here."""
    core = hand.core
    due = next_step(job, now=core.clock.now(), times=core.times)
    if due is None or due.at > core.clock.now():
        _rearm(hand, job, None if due is None else due.at)
        return None
    return _STEPS[due.step](hand, job)


def _rearm(hand: Hand, job: Job, at: float | None) -> None:
    """Set the row's timer to what it waits for and let go of it; with nothing left to do it keeps none."""
    now = hand.core.clock.now()
    held = job.lease_owner == hand.owner
    if at is None and (held or job.next_check_at is not None):
        hand.rest(job, until_in=None)
    elif at is not None and (held or job.next_check_at is None or job.next_check_at <= now):
        hand.rest(job, until_in=at - now)


def _announce(hand: Hand, job: Job) -> Job | None:
    if job.announcements >= MAX_POSTS or _is_too_late(hand.core, job):
        return _cannot_post(hand, job)
    core, before, stage = hand.core, job, stage_of(hand.core, job)
    enters = _may_enter(core, stage)
    job = hand.intend(
        job,
        "intend_announce",
        announcements=job.announcements + 1,
        announce_intent_at=core.clock.now(),
        check_in=core.times.grace,
    )
    try:
        ref = core.sink(job).announce(_entering(stage) if enters else stage)
    except Ambiguous as lost:
        core.journal.event("announce_ambiguous", job=job.id, code=lost.code)
        return None
    except Rejected as no:
        core.journal.event("announce_rejected", job=job.id, code=no.code)
        return _cannot_post(hand, job)
    except (Busy, Unavailable) as later:
        told = later.code if isinstance(later, Unauthorized) else before.told
        facts = {"announcements": before.announcements, "announce_intent_at": None, "told": told}
        _put_off(hand, job, later, "unannounce", **facts)
        return None
    if enters:
        return _enter(hand, job, ref)
    return _announced(hand, job, ref, told=news_of(stage))


def _may_enter(core: Core, stage: Stage) -> bool:
    """Nobody is ahead, so the job may well go straight from its announcement to the endpoint."""
    return stage.place == 0 and stage.job.result is None and core.settings.paused is None


def _entering(stage: Stage) -> Stage:
    """The stage as the job enters: a card that stays true while it is drawn needs no edit."""
    admitted = dataclasses.replace(stage.job, admitted_at=stage.job.accepted_at)
    return dataclasses.replace(stage, job=admitted, place=None)


def _enter(hand: Hand, job: Job, ref: str) -> Job | None:
    """Announced, admitted and about to be submitted: one write.

    A full window leaves it waiting as usual. So does a write that failed, for everybody who enters writes the
    same counters: the card is there, and without its reference it would be posted again.
    """
    core = hand.core
    now, endpoint = core.clock.now(), core.endpoint.state()
    changes: list[Change] = [
        ("announce", {"announced_ref": ref, "told": news_of(Stage(job=job, endpoint=endpoint))}),
        ("admit", {"admitted_at": now}),
        ("intend_submit", {"submissions": 1, "submitted_at": now}),
    ]
    counters = admission_of(core, job, at=now, window=endpoint.window)
    try:
        entered = hand.intend_all(job, changes, check_in=core.times.look_every, counters=counters)
    except PeerError as failed:
        core.journal.event("enter_failed", job=job.id, code=failed.code)
        return _announced(hand, job, ref, told=TOLD_TOO_MUCH)
    except (CeilingReached, Overtaken):
        return _announced(hand, job, ref, told=TOLD_TOO_MUCH)
    return _send(hand, entered, submissions=0, submitted_at=None)


def _announced(hand: Hand, job: Job, ref: str, *, told: str = "") -> Job:
    """The row may have been decided (a cancel) while the card was being posted."""
    check_in = hand.core.times.nudge_after
    for name in ("announce", "announce_late"):
        try:
            return hand.fact(job, name, announced_ref=ref, told=told, check_in=check_in)
        except Overtaken:
            job = reread(hand.core, job)
    raise Overtaken


def _find_announcement(hand: Hand, job: Job) -> Job | None:
    """Where the sink cannot look, GRACE has passed and the card is posted once more; such tries are few."""
    core, tries = hand.core, job.announcements
    try:
        ref = core.sink(job).find_announcement(job)
        tries -= 1
    except Rejected as no:
        core.journal.event("announce_unverified", job=job.id, code=no.code)
        ref = None
    except PeerError as later:
        if _is_too_late(core, job):
            return _cannot_post(hand, job)
        _put_off(hand, job, later)
        return None
    if ref is not None:
        return _announced(hand, job, ref)
    return hand.intend(  # no fact either: see _confirm
        job,
        "unannounce",
        attempts=0,
        check_in=core.times.nudge_after,
        announce_intent_at=None,
        announcements=tries,
    )


def _cannot_post(hand: Hand, job: Job) -> Job:
    """There is no place to show the job: decide it, or note that its reason stays unseen there."""
    if job.result is None:
        return fail(hand.core, job, Outcome.CANNOT_POST)
    return hand.fact(
        job, "give_up_delivery", undelivered=Outcome.CANNOT_POST, check_in=hand.core.times.nudge_after
    )


def _give_up_waiting(hand: Hand, job: Job) -> Job:
    return fail(hand.core, job, Outcome.WAITED_TOO_LONG)


def _admit(hand: Hand, job: Job) -> Job | None:
    core = hand.core
    if job.id in dispatch(core, in_hand=job.id):
        return core.jobs.get(job.id)
    left = job.patience_until - core.clock.now()
    job = reread(core, job)
    hand.rest(job, until_in=min(left, core.times.nudge_after), told=_tell(core, job))
    return None


def _submit(hand: Hand, job: Job) -> Job | None:
    core, before = hand.core, job
    if core.clock.now() - (job.admitted_at or 0.0) > core.times.endpoint_patience and job.submissions == 0:
        return fail(core, job, Outcome.ENDPOINT_DOWN)
    job = hand.intend(
        job,
        "intend_submit" if before.submissions == 0 else "resubmit",
        submissions=before.submissions + 1,
        submitted_at=core.clock.now(),
        check_in=core.times.look_every,
    )
    return _send(hand, job, submissions=before.submissions, submitted_at=before.submitted_at)


def _send(hand: Hand, job: Job, **before: object) -> Job | None:
    """Hand the job to the endpoint, its intent being written; `before` are the facts of an undone intent."""
    core = hand.core
    try:
        core.endpoint.submit(submission_of(core, job))
    except Ambiguous as lost:
        core.journal.event("submit_ambiguous", job=job.id, code=lost.code)
    except (Busy, Unavailable) as later:
        _put_off(hand, job, later, "unsubmit", **before)
        return None
    except Rejected as no:
        core.journal.event("submit_rejected", job=job.id, code=no.code)
        return fail(core, job, Outcome.ENGINE_REFUSED)
    wake_for_work(core)
    _tell(core, job)
    return None


def _look(hand: Hand, job: Job) -> Job | None:
    """Without any message: is the result there, is the submission still alive, is it time to give up?"""
    core = hand.core
    settled = collect(core, job)
    if settled is not None:
        return settled
    fate = core.endpoint.fate(inference_id(job))
    overdue = core.clock.now() >= (job.submitted_at or 0.0) + core.times.submission_life
    if fate is not Fate.LOST and not overdue:
        hand.rest(job, until_in=core.times.look_every, told=_tell(core, job))
        return None
    if job.submissions < MAX_SUBMISSIONS and job.attempts < MOST_TRIES:
        core.journal.event("resubmit", job=job.id, fate=fate)
        return _submit(hand, job)
    return fail(core, job, Outcome.INTERRUPTED if fate is Fate.LOST else Outcome.TIMED_OUT)


def _give_up_review(hand: Hand, job: Job) -> Job:
    return fail(hand.core, job, Outcome.NOT_REVIEWED)


def _deliver(hand: Hand, job: Job) -> Job | None:
    if job.deliveries >= MAX_POSTS or _is_too_late(hand.core, job):
        return _cannot_deliver(hand, job)
    core, before = hand.core, job
    try:
        refs = job.delivery_refs or core.sink(job).prepare(job, _pictures(core, job))
    except Rejected as no:
        core.journal.event("prepare_rejected", job=job.id, code=no.code)
        return _cannot_deliver(hand, job)
    except PeerError as later:
        _put_off(hand, job, later)
        return None
    job = hand.intend(
        job,
        "intend_deliver",
        delivery_refs=refs,
        deliveries=before.deliveries + 1,
        deliver_intent_at=core.clock.now(),
        check_in=core.times.grace,
    )
    try:
        core.sink(job).deliver(job)
    except Ambiguous as lost:
        core.journal.event("deliver_ambiguous", job=job.id, code=lost.code)
    except Rejected as no:
        core.journal.event("deliver_rejected", job=job.id, code=no.code)
        return _cannot_deliver(hand, job)
    except (Busy, Unavailable) as later:
        facts = {"deliveries": before.deliveries, "deliver_intent_at": None}
        _put_off(hand, job, later, "undeliver", **facts)
        return None
    return job


def _confirm(hand: Hand, job: Job) -> Job | None:
    """The share appears some time after the call; only then is the picture really there."""
    core, now = hand.core, hand.core.clock.now()
    try:
        seen = core.sink(job).delivered(job)
    except Rejected as no:
        core.journal.event("delivery_unverified", job=job.id, code=no.code)
        return _cannot_deliver(hand, job)
    except PeerError as later:
        if _is_too_late(core, job):
            return _cannot_deliver(hand, job)
        _put_off(hand, job, later)
        return None
    if seen:
        return _finish(hand, job, delivered_at=now)
    if now < (job.deliver_intent_at or 0.0) + _share_patience(core, job):
        _look_again(hand, job)
        return None
    return hand.intend(
        job, "undeliver", attempts=0, deliver_intent_at=None, check_in=core.times.nudge_after
    )  # no fact: where another worker was faster, it says nothing of the delivery that is under way now


def _share_patience(core: Core, job: Job) -> float:
    """A caller that has provably died sends nothing any more: only what it had sent may still be applied."""
    died = job.lease_owner is not None and core.process.outlived(job.lease_owner)
    return core.times.grace if died else core.times.share_patience


def _look_again(hand: Hand, job: Job) -> None:
    """As late again as the share is already. A hint is enough while the row's own timer stands behind it."""
    times, now = hand.core.times, hand.core.clock.now()
    late = now - (job.deliver_intent_at or 0.0)
    wait = min(max(late, times.confirm_first), 30.0)
    if (job.next_check_at or 0.0) <= now:
        hand.rest(job, until_in=wait)
        return
    hint(hand.core, job, delay=wait)


def _cannot_deliver(hand: Hand, job: Job) -> Job:
    """The picture exists and stays in the store, but this place does not take it."""
    check_in = hand.core.times.nudge_after
    return hand.fact(job, "give_up_delivery", undelivered=Outcome.CANNOT_DELIVER, check_in=check_in)


def _finish(hand: Hand, job: Job, *, delivered_at: float | None = None) -> Job | None:
    """Show the outcome. `delivered_at` is when the share was seen, where that is not yet written.

    Card and row show it again without harm; a callback is heard each time, so a worker takes the job for it.
    """
    core = hand.core
    if job.sink.kind is SinkKind.CALLBACK and job.lease_owner != hand.owner:
        job = hand.intend(job, "wait", check_in=core.times.lease)
    seen: list[Change] = [] if delivered_at is None else [("deliver", {"delivered_at": delivered_at})]
    try:
        core.sink(job).finish(stage_of(core, apply_all(job, seen)))
    except Rejected as no:
        core.journal.event("finish_rejected", job=job.id, code=no.code)
    except PeerError as later:
        if not _is_too_late(core, job):
            if seen:
                job = hand.fact(job, "deliver", delivered_at=delivered_at, check_in=core.times.nudge_after)
            _put_off(hand, job, later)
            return None
        core.journal.event("finish_unseen", job=job.id, code=later.code)
    hand.finish(job, until_in=core.times.audit_after, seen=seen)
    return None


def _audit(hand: Hand, job: Job) -> Job | None:
    """Some minutes later: an edit that came late is put right, and extra copies are removed."""
    core = hand.core
    try:
        if job.deleted_at is None:
            core.sink(job).finish(stage_of(core, job))
        core.sink(job).audit(job)
    except Rejected as no:
        core.journal.event("audit_skipped", job=job.id, code=no.code)
    except PeerError as later:
        if job.attempts < MAX_POSTS:
            _put_off(hand, job, later)
            return None
        core.journal.event("audit_skipped", job=job.id, code=later.code)
    hand.rest(job, "audit", until_in=None, audited_at=core.clock.now())
    return None


def _show_original(hand: Hand, job: Job) -> Job | None:
    """One picture at full size, as somebody asked; one that cannot be shown is not tried for ever."""
    core, index, shown = hand.core, job.originals_wanted[0], True
    job = hand.intend(job, "wait", check_in=core.times.lease)
    try:
        core.sink(job).show_original(job, index, _pictures(core, job)[index])
    except Rejected as no:
        core.journal.event("original_rejected", job=job.id, code=no.code)
        shown = False
    except PeerError as later:
        if job.attempts < MOST_TRIES:
            _put_off(hand, job, later)
            return None
        core.journal.event("original_given_up", job=job.id, code=later.code)
        shown = False

    def answered(row: Job) -> dict[str, object]:
        wanted = tuple(other for other in row.originals_wanted if other != index)
        return {"originals_wanted": wanted, "originals_shown": (*row.originals_shown, *([index] * shown))}

    return hand.fact(job, "show_original", check_in=core.times.nudge_after, derive=answered)


def _remove(hand: Hand, job: Job) -> Job | None:
    """What its owner deleted goes: out of sight first, then out of the store with the engine's own answer."""
    core = hand.core
    try:
        core.sink(job).remove(job)
        for key in stored_keys(core, job):
            core.objects.delete(key)
    except Rejected as no:
        core.journal.event("remove_rejected", job=job.id, code=no.code)
    except PeerError as later:
        _put_off(hand, job, later)
        return None
    return hand.fact(job, "remove", removed_at=core.clock.now(), check_in=core.times.nudge_after)


def _pictures(core: Core, job: Job) -> tuple[bytes, ...]:
    """The stored originals. Raises Unavailable when one is not there yet or any more."""
    found = [core.objects.get(picture.key) for picture in (job.result.pictures if job.result else ())]
    if any(body is None for body in found):
        raise Unavailable("picture_missing")
    return tuple(body for body in found if body is not None)


def _is_too_late(core: Core, job: Job) -> bool:
    return job.result is not None and core.clock.now() > job.result.at + core.times.deliver_patience


def _tell(core: Core, job: Job) -> str:
    """Edit the card when the place or the endpoint changed since it was last told; returns the news."""
    news = news_of(stage_of(core, job))
    if news != job.told:
        show_stage(core, job)
    return news


def _put_off(hand: Hand, job: Job, later: PeerError, name: str = "wait", **facts: object) -> None:
    """Try again later. Nobody but an operator can renew a credential, so such a try is told and counted."""
    if isinstance(later, Unauthorized):
        hand.core.journal.event("token_refused", job=job.id, code=later.code)
    asked = later.retry_after if isinstance(later, Busy) else None
    hand.retry_later(job, name, asked=asked, **facts)


_STEPS: dict[Step, Callable[[Hand, Job], Job | None]] = {
    Step.ANNOUNCE: _announce,
    Step.FIND_ANNOUNCEMENT: _find_announcement,
    Step.ADMIT: _admit,
    Step.GIVE_UP_WAITING: _give_up_waiting,
    Step.SUBMIT: _submit,
    Step.LOOK: _look,
    Step.GIVE_UP_REVIEW: _give_up_review,
    Step.DELIVER: _deliver,
    Step.CONFIRM: _confirm,
    Step.FINISH: _finish,
    Step.AUDIT: _audit,
    Step.SHOW_ORIGINAL: _show_original,
    Step.REMOVE: _remove,
}


def take_result(core: Core, job_id: str) -> None:
    """An event says that an object for this job arrived: decide the job and carry on at once.

    Duplicate, early and foreign events change nothing.
    """
    job = core.jobs.get(job_id)
    if job is None:
        core.journal.event("unknown_job", job=job_id)
    elif not is_unresolved(job):
        core.journal.event("result_ignored", job=job_id)
    else:
        job = _settle_submission(core, job, lambda row: collect(core, row))
    _advance_row(core, job)


def take_failure(core: Core, job_id: str, body: bytes, *, submission: int | None = None) -> None:
    """A message or object says that a submission of this job failed; `body` is what it says.

    A picture that is there all the same wins. News of an earlier submission than the one under way, and
    duplicate, late and foreign news change nothing.
    """
    job = core.jobs.get(job_id)
    if job is None:
        core.journal.event("unknown_job", job=job_id)
    elif state_of(job) is not State.SUBMITTED:
        core.journal.event("failure_ignored", job=job_id)
    elif submission is not None and submission < job.submissions:
        core.journal.event("failure_outdated", job=job_id)
    else:
        result = failed(core, body)
        job = _settle_submission(core, job, lambda row: collect(core, row) or resolve(core, row, result))
    _advance_row(core, job)


def _settle_submission(core: Core, job: Job, decide: Callable[[Job], Job | None]) -> Job | None:
    """Decide the job, then let the next one into the place that it leaves. Returns the row as it is now."""
    try:
        decided = decide(job)
    except (Overtaken, JobMoved):
        core.journal.event("result_overtaken", job=job.id)
        return core.jobs.get(job.id)
    if decided is None:
        core.journal.event("result_without_object", job=job.id)
        return job
    try:
        dispatch(core)
    except PeerError as later:
        core.journal.event("dispatch_failed", job=job.id, code=later.code)
    return decided
