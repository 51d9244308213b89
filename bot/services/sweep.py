"""The sweep: every open row has a timer, and this alone, with every message lost, finishes every job."""

import math

from bot.domain.errors import Conflict, PeerError, Rejected
from bot.domain.job import state_of
from bot.ports import Index
from bot.services.core import Core
from bot.services.dispatch import dispatch
from bot.services.rows import Hand, Overtaken
from bot.services.work import advance

BATCH = 50


def sweep(core: Core, *, limit: int = BATCH, deadline: float = math.inf) -> int:
    """Take at most `limit` due jobs as far as they go; returns how many were taken.

    Begins with no further job at `deadline` (seconds since the epoch): what is left stays due.
    """
    _dispatch(core)
    taken = 0
    for job in core.jobs.query(Index.DUE, upto=core.clock.now(), limit=limit).jobs:
        if core.clock.now() >= deadline:
            core.journal.event("sweep_cut_short", taken=taken)
            break
        if job.done_at is None and core.clock.now() > job.accepted_at + core.times.overdue_after:
            core.journal.event("overdue", job=job.id, state=state_of(job))
        revive(core, job.id)
        taken += 1
    return taken


def revive(core: Core, job_id: str) -> None:
    """Take one job on. A bad row must not stop the sweep for all others: it is reported and comes later."""
    try:
        advance(core, job_id)
    except (Conflict, Overtaken) as error:
        core.journal.event("advance_failed", job=job_id, kind=type(error).__name__)
    except PeerError as error:
        name = "advance_rejected" if isinstance(error, Rejected) else "advance_failed"
        core.journal.event(name, job=job_id, kind=type(error).__name__, code=error.code)
        _push_back(core, job_id)
    except Exception as error:  # noqa: BLE001  any defect in one row: the others still have people waiting
        core.journal.event("advance_crashed", job=job_id, kind=type(error).__name__)
        _push_back(core, job_id)


def _dispatch(core: Core) -> None:
    """Waiting jobs may enter a minute later; those that are due have waited already."""
    try:
        dispatch(core)
    except PeerError as error:
        core.journal.event("dispatch_failed", code=error.code)


def _push_back(core: Core, job_id: str) -> None:
    """Come again later, with growing distance, instead of first in every sweep."""
    try:
        job = core.jobs.get(job_id)
        if job is not None:
            hand = Hand(core=core, owner=f"{core.process.boot}:{core.ids.token()}")
            hand.retry_later(job)
    except (Conflict, Overtaken, PeerError):
        core.journal.event("push_back_failed", job=job_id)
