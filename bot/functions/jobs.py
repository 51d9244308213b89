"""The functions that move jobs: woken by the queue, by objects that arrive, by notices of failure."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from bot.aws.deadline import Deadline, LambdaContext
from bot.aws.events import (
    Arrival,
    FailureNotice,
    Message,
    Ours,
    Refusal,
    Unneeded,
    arrivals,
    messages,
    notices,
)
from bot.domain.errors import Rejected
from bot.functions.attempts import HandlerFailed, attempt
from bot.services.core import Core
from bot.services.work import advance, take_failure, take_result

MARGIN = 20.0
"""Seconds one job may take; none is begun with less left. A function that is ended in the midst of a job
loses nothing but time: the row's lease runs out and its timer brings it back."""

Told = TypeVar("Told")
Piece = tuple[str, Callable[[], object]]
"""A job's id, and what is to be done for it."""


class Worker:
    """Takes nudges from the queue, each as far as its job goes now.

    What it names in its answer comes again, and after some tries goes to the dead-letter queue: messages it
    could not work on, had no time for, or that nobody of ours wrote.
    """

    def __init__(self, core: Core, *, ours: Ours) -> None:
        self._core = core
        self._ours = ours

    def __call__(self, event: object, context: LambdaContext) -> dict[str, Any]:
        deadline = Deadline.of(context, clock=self._core.clock, margin=MARGIN)
        told = _needed(self._core, messages(event, self._ours))
        again = [message.message_id for message in told if not self._is_done(message, deadline)]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}

    def _is_done(self, message: Message, deadline: Deadline) -> bool:
        job_id = message.job_id
        if job_id is None:
            self._core.journal.event("poison_message")
            return False
        if deadline.has_passed:
            self._core.journal.event("left_for_later", handler="worker", job=job_id)
            return False
        return attempt(self._core, "worker", lambda: advance(self._core, job_id), job=job_id) is None


class Results:
    """Takes S3's news of success objects. Raises HandlerFailed when one is to be told again."""

    def __init__(self, core: Core, *, ours: Ours) -> None:
        self._core = core
        self._ours = ours

    def __call__(self, event: object, context: LambdaContext) -> None:
        told = _needed(self._core, arrivals(event, self._ours, folder="out/"))
        pieces = [(arrival.job_id, partial(take_result, self._core, arrival.job_id)) for arrival in told]
        _do_all(self._core, "result", pieces, context)


class Failures:
    """Takes failure objects and SageMaker's error notices. Raises HandlerFailed as Results does."""

    def __init__(self, core: Core, *, ours: Ours) -> None:
        self._core = core
        self._ours = ours

    def __call__(self, event: object, context: LambdaContext) -> None:
        told: list[Arrival | FailureNotice] = _needed(self._core, notices(event, self._ours))
        _do_all(self._core, "failure", [(news.job_id, partial(self._take, news)) for news in told], context)

    def _take(self, news: Arrival | FailureNotice) -> None:
        if isinstance(news, FailureNotice):
            take_failure(self._core, news.job_id, news.body, submission=news.submission)
        else:
            take_failure(self._core, news.job_id, self._body(news))

    def _body(self, arrival: Arrival) -> bytes:
        """That the object was written says enough when it is gone by now, or cannot be read."""
        try:
            body = self._core.objects.get(arrival.key)
        except Rejected as no:
            self._core.journal.event("failure_unreadable", job=arrival.job_id, code=no.code)
            return b""
        if body is None:
            self._core.journal.event("failure_without_object", job=arrival.job_id)
        return body or b""


def _needed(core: Core, facts: Sequence[Told | Unneeded | Refusal]) -> list[Told]:
    """What asks for work. What is not ours is counted and dropped: it would be no more ours the next time."""
    for fact in facts:
        if isinstance(fact, Refusal):
            core.journal.event("foreign_event", reason=fact.reason)
    return [fact for fact in facts if not isinstance(fact, Refusal | Unneeded)]


def _do_all(core: Core, handler: str, pieces: Sequence[Piece], context: LambdaContext) -> None:
    """Do every piece, also after one that failed. What is repeated changes nothing where it was done."""
    deadline = Deadline.of(context, clock=core.clock, margin=MARGIN)
    failed = set()
    for job_id, work in pieces:
        if deadline.has_passed:
            core.journal.event("left_for_later", handler=handler, job=job_id)
            failed.add("left_for_later")
        elif kind := attempt(core, handler, work, job=job_id):
            failed.add(kind)
    if failed:
        raise HandlerFailed(", ".join(sorted(failed)))
