"""Looking at jobs and pictures that exist. Anyone of the workspace may look; nothing here changes a row."""

from dataclasses import dataclass
from datetime import UTC, datetime

from bot.domain.errors import Refused
from bot.domain.job import Job, Outcome, Picture, failure_prefix, output_key
from bot.domain.transitions import is_open
from bot.ports import EndpointState, Index
from bot.services.core import Caller, Core

ID_LENGTH = 26
SHORTEST_REF = 6
_RECENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A person's day. `used` and `limit` are GPU-milliseconds of the UTC day."""

    used: int
    limit: int
    open_jobs: tuple[Job, ...]
    paused: str | None
    endpoint: EndpointState


def find_job(core: Core, caller: Caller, job_ref: str) -> Job:
    """A job of the caller's workspace by its id, or one of the caller's own by the id's first characters.

    Raises Refused("no_such_job"): also for a job of another workspace, which must not even be confirmed.
    """
    job = core.jobs.get(job_ref) if len(job_ref) == ID_LENGTH else _own_job(core, caller, job_ref)
    if job is None or job.tenant != caller.tenant:
        raise Refused("no_such_job", job=job_ref)
    return job


def find_picture(job: Job, index: int) -> Picture:
    """Picture `index` (from 0). Raises Refused when there is none or it was deleted."""
    if job.deleted_at is not None:
        raise Refused("deleted")
    if job.result is None:
        raise Refused("still_drawing")
    if job.result.outcome is not Outcome.OK or not 0 <= index < len(job.result.pictures):
        raise Refused("no_such_picture")
    return job.result.pictures[index]


def show(core: Core, caller: Caller, *, job_ref: str) -> Job:
    """The job under a reference. Raises Refused."""
    return find_job(core, caller, job_ref)


def picture(core: Core, caller: Caller, *, job_ref: str, index: int) -> bytes:
    """The stored original of picture `index`. Raises Refused."""
    job = find_job(core, caller, job_ref)
    body = core.objects.get(find_picture(job, index).key)
    if body is None:
        raise Refused("no_such_picture")
    return body


def stored_keys(core: Core, job: Job) -> tuple[str, ...]:
    """Every object that holds something of the job: its pictures, what it started from and what the endpoint
    answered.
    """
    pictures = tuple(picture.key for picture in job.result.pictures) if job.result else ()
    start = (job.request.init_image,) if job.request.init_image else ()
    return (*pictures, *start, output_key(job), *core.objects.list(failure_prefix(job)))


def own_jobs(core: Core, caller: Caller, *, limit: int = _RECENT) -> tuple[Job, ...]:
    """The caller's newest jobs."""
    return core.jobs.query(Index.PERSON, partition=f"{caller.tenant}/{caller.user}", limit=limit).jobs


def overview(core: Core, caller: Caller) -> Overview:
    """What the caller may still draw today, and what is under way."""
    person = core.jobs.person(caller.tenant, caller.user)
    return Overview(
        used=person.used if person.day == today(core) else 0,
        limit=core.policy.daily_limit,
        open_jobs=tuple(job for job in own_jobs(core, caller) if is_open(job)),
        paused=core.settings.paused,
        endpoint=core.endpoint.state(),
    )


def today(core: Core) -> str:
    """The UTC date that quotas count by."""
    return f"{datetime.fromtimestamp(core.clock.now(), tz=UTC):%Y-%m-%d}"


def _own_job(core: Core, caller: Caller, job_ref: str) -> Job | None:
    if not SHORTEST_REF <= len(job_ref) < ID_LENGTH:
        return None
    matches = [job for job in own_jobs(core, caller) if job.id.startswith(job_ref)]
    return matches[0] if len(matches) == 1 else None
