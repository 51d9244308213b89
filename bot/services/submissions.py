"""The invocation that a job stands for."""

from bot.domain.errors import Unavailable
from bot.domain.job import Job, failure_prefix, output_key
from bot.domain.wire import invocation_body
from bot.ports import Submission
from bot.services.core import Core


def submission_of(core: Core, job: Job) -> Submission:
    """The current submission. Its keys follow from the job alone, so any worker finds the result.

    Raises Unavailable when the picture to start from is not in the store.
    """
    init_image = core.objects.get(job.request.init_image) if job.request.init_image else None
    if job.request.init_image and init_image is None:
        raise Unavailable("init_image_missing")
    return Submission(
        job_id=job.id,
        tenant=job.tenant,
        ordinal=job.submissions,
        body=invocation_body(job.request, init_image=init_image),
        output_key=output_key(job),
        failure_prefix=failure_prefix(job),
        ttl=core.times.request_ttl,
        timeout=core.times.invocation_timeout,
    )


def inference_id(job: Job) -> str:
    """The id of the current submission, at most 64 characters."""
    return f"{job.tenant}.{job.id}.{job.submissions}"
