"""What came out of the endpoint: read it, verify it, decide the job."""

import hashlib

from bot import imaging
from bot.domain.errors import BadOutput, BadPicture, Rejected
from bot.domain.job import (
    Job,
    Outcome,
    Picture,
    Result,
    State,
    failure_prefix,
    output_key,
    picture_key,
    state_of,
)
from bot.domain.transitions import apply
from bot.domain.wire import Output, failure_notes, read_failure, read_output
from bot.ports import Verdict
from bot.services.core import Core
from bot.services.rows import resolve, tokened


def collect(core: Core, job: Job) -> Job | None:
    """Decide a submitted job from the object store; None while there is no object.

    The success object wins over a failure object: a second submission may have drawn what the first
    did not. A lasting no on the way to the picture is an outcome too: asking again would end the same.
    """
    try:
        return _collect(core, job)
    except Rejected as no:
        core.journal.event("output_unreadable", job=job.id, code=no.code)
        return resolve(core, job, Result(outcome=Outcome.BAD_PICTURE, at=core.clock.now()))


def _collect(core: Core, job: Job) -> Job | None:
    body = core.objects.get(output_key(job))
    if body is not None:
        return _decide(core, job, body)
    failures = core.objects.list(failure_prefix(job))
    if not failures:
        return None
    return resolve(core, job, failed(core, _reason(core, job, failures[0])))


def failed(core: Core, body: bytes) -> Result:
    """What a failure object stands for."""
    return Result(outcome=read_failure(body), at=core.clock.now(), notes=failure_notes(body))


def _reason(core: Core, job: Job, key: str) -> bytes:
    """What a failure object says; that it is there says enough where it cannot be read."""
    try:
        body = core.objects.get(key)
    except Rejected as no:
        core.journal.event("failure_unreadable", job=job.id, code=no.code)
        body = None
    return body or b""


def _decide(core: Core, job: Job, body: bytes) -> Job:
    try:
        output = read_output(body)
        if output.failure is not None:
            return resolve(core, job, Result(outcome=output.failure, at=core.clock.now(), notes=output.notes))
        verified = [imaging.verify(picture) for picture in output.pictures[: job.request.n]]
    except (BadOutput, BadPicture) as bad:
        core.journal.event("bad_output", job=job.id, kind=type(bad).__name__)
        return resolve(core, job, Result(outcome=Outcome.BAD_PICTURE, at=core.clock.now()))
    return _judge(core, job, output, verified)


def _judge(core: Core, job: Job, output: Output, verified: list[imaging.VerifiedPicture]) -> Job:
    """No picture leaves the store without a verdict."""
    verdicts = [core.moderation.check_picture(picture.png) for picture in verified]
    if any(not verdict.allowed and not verdict.held for verdict in verdicts):
        return resolve(core, job, Result(outcome=Outcome.BLOCKED, at=core.clock.now()))
    result = _stored(core, job, output, verified)
    if _needs_review(job, verdicts):
        return _hold(core, job, result)
    return resolve(core, job, result)


def _needs_review(job: Job, verdicts: list[Verdict]) -> bool:
    return state_of(job) is State.SUBMITTED and any(verdict.held for verdict in verdicts)


def _hold(core: Core, job: Job, result: Result) -> Job:
    until = core.clock.now() + core.times.hold_for
    held = tokened(core, apply(job, "hold", held=result, hold_until=until, next_check_at=until, attempts=0))
    core.jobs.transition(held)
    return held


def _stored(core: Core, job: Job, output: Output, verified: list[imaging.VerifiedPicture]) -> Result:
    pictures = tuple(_store(core, job, output, index, picture) for index, picture in enumerate(verified))
    return Result(
        outcome=Outcome.OK,
        at=core.clock.now(),
        pictures=pictures,
        model=output.model,
        unknown_words=output.unknown_words,
        notes=output.notes,
        gpu_seconds=output.gpu_seconds or 0.0,
    )


def _store(core: Core, job: Job, output: Output, index: int, picture: imaging.VerifiedPicture) -> Picture:
    """The endpoint's own seed where it names one, else ours."""
    key = picture_key(job, str(index + 1))
    core.objects.put(key, picture.png)
    seeds = output.seeds or job.request.seeds
    return Picture(
        key=key,
        seed=seeds[index] if index < len(seeds) else job.request.seeds[0] + index,
        width=picture.width,
        height=picture.height,
        sha256=hashlib.sha256(picture.png).hexdigest(),
    )
