"""Watching a job until it is over, by what SageMaker and its log say."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.aws.clients import ServiceClients
from infra.endpoint.place import Place
from infra.training.errors import NotTrained

LOOK_EVERY = 30.0
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
OVER = frozenset({"Completed", "Failed", "Stopped"})
_STEP = re.compile(r"step (\d+) of (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a job stands. `steps` is (done, of), None before the first."""

    stage: str
    steps: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.stage}, step {self.steps[0]} of {self.steps[1]}" if self.steps else self.stage


def follow(
    name: str,
    clients: ServiceClients,
    *,
    pause: Callable[[float], None],
    told: Callable[[Standing], None] = lambda _standing: None,
) -> Mapping[str, Any]:
    """Until the job is completed; its description. Raises NotTrained with SageMaker's reason."""
    while True:
        job: Mapping[str, Any] = clients["sagemaker"].describe_training_job(TrainingJobName=name)
        stage = job["SecondaryStatus"]
        told(Standing(stage=stage, steps=_steps(name, clients["logs"]) if stage == "Training" else None))
        if job["TrainingJobStatus"] in OVER:
            break
        pause(LOOK_EVERY)
    if job["TrainingJobStatus"] == "Completed":
        return job
    reason = job.get("FailureReason") or stage
    raise NotTrained(
        f"{name} is {job['TrainingJobStatus'].lower()}: {reason}. The same line goes on from its last "
        "checkpoint, after asking."
    )


def log_link(place: Place, name: str) -> str:
    """The job's log in AWS's console."""
    host = "console.amazonaws.cn" if place.partition == "aws-cn" else "console.aws.amazon.com"
    group = LOG_GROUP.replace("/", "$252F")
    return (
        f"https://{place.region}.{host}/cloudwatch/home?region={place.region}#logsV2:log-groups/log-group/"
        f"{group}$3FlogStreamNameFilter$3D{name}"
    )


def _steps(name: str, logs: Any) -> tuple[int, int] | None:
    """The last step that the log tells of, None where it has none yet."""
    try:
        streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
    except logs.exceptions.ResourceNotFoundException:
        return None
    names = sorted(stream["logStreamName"] for stream in streams["logStreams"])
    if not names:
        return None
    # A job that lost its machine has a stream for each; their names end in the time they began.
    events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=names[-1], limit=20)["events"]
    found = [match for event in events if (match := _STEP.search(event["message"]))]
    return (int(found[-1][1]), int(found[-1][2])) if found else None
