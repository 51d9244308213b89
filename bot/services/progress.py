"""Edits of a card while its job is open. A lost edit is no loss; a late one must not hide the outcome."""

from bot.domain.errors import PeerError
from bot.domain.job import Job, State, state_of
from bot.domain.transitions import is_open
from bot.services.core import Core
from bot.services.stages import stage_of


def show_steps(core: Core, job_id: str, *, step: int, steps: int) -> None:
    """Show how far a drawing is. A decided job is left alone."""
    job = core.jobs.get(job_id)
    if job is not None and state_of(job) is State.SUBMITTED:
        show_stage(core, job, step=step, steps=steps)


def show_stage(core: Core, job: Job, *, step: int | None = None, steps: int | None = None) -> None:
    """Edit the card, and put the outcome back when the job ended while the edit was under way.

    The audit shows the outcome once more, for an edit whose process did not live to look again.
    """
    try:
        core.sink(job).show(stage_of(core, job, step=step, steps=steps))
        current = core.jobs.get(job.id)
        if current is not None and not is_open(current):
            core.sink(current).finish(stage_of(core, current))
    except PeerError as lost:
        core.journal.event("show_skipped", job=job.id, code=lost.code)
