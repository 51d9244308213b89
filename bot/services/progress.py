"""Steps of a drawing under way, shown on its card where the endpoint tells them."""

from bot.domain.errors import PeerError
from bot.domain.job import State, state_of
from bot.services.core import Core
from bot.services.stages import stage_of


def show_steps(core: Core, job_id: str, *, step: int, steps: int) -> None:
    """Edit the card of a job that is being drawn. A decided job is left alone, and a lost edit is no loss."""
    job = core.jobs.get(job_id)
    if job is None or state_of(job) is not State.SUBMITTED:
        return
    try:
        core.sink(job).show(stage_of(core, job, step=step, steps=steps))
    except PeerError as lost:
        core.journal.event("show_skipped", job=job.id, code=lost.code)
