"""SageMaker's training control plane: jobs, the states they go through, spot interruptions, and what is
refused.

As with hosting, nothing happens by itself: `settle(now)` takes every job on. A job's start takes the region's
time; its training is our container as a process and takes real time. Sources: SageMaker developer guide ("How
training works", "Managed spot training"), API reference of CreateTrainingJob and DescribeTrainingJob.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

from infra.local.sagemaker.capacity import Capacity
from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.training_run import artifacts_of, keys

Members = Mapping[str, Any]
OVER = frozenset({"Completed", "Failed", "Stopped"})
DEFAULT_SECONDS = 86_400
NO_DATA = (
    'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
    "exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
    '"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
)
NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML "
    "instance type or after some time."
)
TIME_IS_UP = "Training job runtime exceeded MaxRuntimeInSeconds provided"
WAIT_IS_UP = "Training job wait time exceeded MaxWaitTimeInSeconds provided"


class Run(Protocol):
    """A started container (training_run.py)."""

    def status(self) -> int | None: ...
    def end(self) -> None: ...
    @property
    def failure(self) -> str: ...
    def send_model(self) -> str | None: ...
    def close(self) -> None: ...


StartRun = Callable[[Members, float], Run]
"""Starts the container of a CreateTrainingJob request, at a time of the region."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One training job. `ending`: why its run was asked to end."""

    sent: Members
    created: float
    status: str = "InProgress"
    stage: str = "Starting"
    began: float = 0.0
    machine: str | None = None
    run: Run | None = None
    started: float | None = None
    billed: float = 0.0
    ended: float | None = None
    ending: str | None = None
    reason: str | None = None
    model: str | None = None
    passed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.sent["TrainingJobName"])

    @property
    def kind(self) -> str:
        return str(self.sent["ResourceConfig"]["InstanceType"])

    @property
    def spot(self) -> bool:
        return bool(self.sent.get("EnableManagedSpotTraining"))

    @property
    def limits(self) -> Mapping[str, int]:
        told: Mapping[str, int] = self.sent["StoppingCondition"]
        return told

    def enter(self, stage: str, now: float, message: str = "") -> None:
        if self.passed:
            self.passed[-1].setdefault("EndTime", now)
        self.stage, self.began = stage, now
        self.passed.append({"Status": stage, "StartTime": now, "StatusMessage": message or stage})


class Training:
    """One account's training jobs in one region. `start` seconds pass from a machine's start to training.

    `interruptions` counts how often a spot machine will be taken away from a job that trains.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        start_run: StartRun,
        s3: Any,
        capacity: Capacity,
        start: float = 120.0,
        region: str = "us-east-1",
        account: str = "123456789012",
        partition: str = "aws",
    ) -> None:
        self.interruptions = 0
        self.jobs: dict[str, Job] = {}
        self._clock = clock
        self._start_run = start_run
        self._s3 = s3
        self._capacity = capacity
        self._start = start
        self._region = region
        self._prefix = f"arn:{partition}:sagemaker:{region}:{account}:training-job"

    def create_training_job(self, sent: Members) -> Members:
        """Refuses a name that was ever used, a quota of 0, data that is not there, and times that cross."""
        name = sent["TrainingJobName"]
        if name in self.jobs:
            raise Refusal(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a training job with "
                f"this name already exists ({self._prefix}/{name})",
            )
        _check(sent)
        self._check_data(sent)
        job = Job(sent=sent, created=self._clock())
        self._check_quota(job)
        self.jobs[name] = job
        job.enter("Starting", job.created, "Starting the training job")
        self.settle(job.created)
        return {"TrainingJobArn": f"{self._prefix}/{name}"}

    def describe_training_job(self, sent: Members) -> Members:
        job = self._job(sent)
        now = self._clock()
        told = {
            name: value
            for name, value in job.sent.items()
            if name not in {"Tags", "EnableManagedSpotTraining"} and value is not None
        }
        trained = None if job.started is None else int((job.ended or now) - job.started)
        return {
            **told,
            "TrainingJobArn": f"{self._prefix}/{job.name}",
            "TrainingJobStatus": job.status,
            "SecondaryStatus": job.stage,
            "SecondaryStatusTransitions": job.passed,
            "EnableManagedSpotTraining": job.spot,
            # The reply's shape wants it always: where the model will lie, or would have.
            "ModelArtifacts": {"S3ModelArtifacts": job.model or artifacts_of(job.sent)},
            "FailureReason": job.reason,
            "CreationTime": job.created,
            "TrainingStartTime": job.started,
            "TrainingEndTime": job.ended,
            "LastModifiedTime": job.began,
            "TrainingTimeInSeconds": trained or None,
            "BillableTimeInSeconds": int(job.billed) or None,
        }

    def list_training_jobs(self, sent: Members) -> Members:
        wanted = sent.get("StatusEquals")
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": job.name,
                    "TrainingJobArn": f"{self._prefix}/{job.name}",
                    "CreationTime": job.created,
                    "LastModifiedTime": job.began,
                    "TrainingJobStatus": job.status,
                }
                for job in sorted(self.jobs.values(), key=lambda job: -job.created)
                if sent.get("NameContains", "") in job.name and wanted in (None, job.status)
            ]
        }

    def stop_training_job(self, sent: Members) -> Members:
        """The container gets SIGTERM; what it leaves is uploaded. Refused for a job that is over."""
        job = self._job(sent)
        if job.status in OVER:
            raise _invalid(f"The request was rejected because the training job is in status {job.status}.")
        job.status = "Stopping"
        self._ask_to_end(job, "Stopped", self._clock(), "Stopping the training job")
        return {}

    def settle(self, now: float) -> None:
        """Take every job on to where it should be at `now`."""
        for job in self.jobs.values():
            if job.status not in OVER:
                self._settle(job, now)

    def close(self) -> None:
        """End every process."""
        for job in self.jobs.values():
            if job.run is not None:
                job.run.close()
                job.run = None

    def _settle(self, job: Job, now: float) -> None:
        if job.run is not None:
            self._look_at(job, job.run, now)
        elif job.ending == "Stopped":
            self._finish(job, "Stopped", now, stage="Stopped")
        elif job.machine is None:
            self._find_machine(job, now)
        elif now - job.began >= self._start:
            self._begin(job, now)

    def _find_machine(self, job: Job, now: float) -> None:
        job.machine = self._capacity.take([job.kind])
        if job.machine is not None:
            job.began = now
        elif not job.spot:
            self._finish(job, "Failed", now, stage="Failed", reason=NO_CAPACITY)
        elif now - job.created >= job.limits["MaxWaitTimeInSeconds"]:
            self._finish(job, "Stopped", now, stage="MaxWaitTimeExceeded", reason=WAIT_IS_UP)

    def _begin(self, job: Job, now: float) -> None:
        job.enter("Downloading", now, "Downloading input data")
        job.run = self._start_run(job.sent, now)
        job.started = now if job.started is None else job.started
        job.enter("Training", now, "Training image download completed. Training in progress.")

    def _look_at(self, job: Job, run: Run, now: float) -> None:
        status = run.status()
        if status is not None:
            self._ended(job, run, status, now)
        elif job.ending is None and job.spot and self.interruptions:
            self.interruptions -= 1
            self._ask_to_end(job, "Interrupted", now, "Interrupted by the loss of a spot instance")
        elif job.ending is None and now - job.began >= job.limits.get("MaxRuntimeInSeconds", DEFAULT_SECONDS):
            self._ask_to_end(job, "MaxRuntimeExceeded", now, TIME_IS_UP)

    def _ask_to_end(self, job: Job, why: str, now: float, message: str) -> None:
        job.ending = why
        if job.run is not None:
            job.run.end()
            job.enter("Stopping" if why == "Stopped" else why, now, message)

    def _ended(self, job: Job, run: Run, status: int, now: float) -> None:
        since = next(p["StartTime"] for p in reversed(job.passed) if p["Status"] == "Training")
        job.billed += now - since
        if job.ending == "Interrupted":
            self._let_go(job)
            job.ending = None
            job.enter("Starting", now, "Starting the training job again")
            return
        if status and job.ending is None:
            failure = run.failure or "See the log of the training job."
            reason = f"AlgorithmError: {failure}, exit code: {status}"
            self._finish(job, "Failed", now, stage="Failed", reason=reason)
            return
        job.enter("Uploading", now, "Uploading generated training model")
        job.model = run.send_model()
        over = "Stopped" if job.ending else "Completed"
        why = TIME_IS_UP if job.ending == "MaxRuntimeExceeded" else None
        self._finish(job, over, now, stage=job.ending or over, reason=why)

    def _finish(self, job: Job, status: str, now: float, *, stage: str, reason: str | None = None) -> None:
        self._let_go(job)
        job.status, job.reason, job.ended = status, reason, now
        job.enter(stage, now, reason or f"Training job {status.lower()}")

    def _let_go(self, job: Job) -> None:
        if job.machine is not None:
            self._capacity.give_back(job.machine)
        if job.run is not None:
            job.run.close()
        job.machine = job.run = None

    def _check_quota(self, job: Job) -> None:
        used = sum(
            other.kind == job.kind and other.spot == job.spot and other.status not in OVER
            for other in self.jobs.values()
        )
        purpose = "spot training job usage" if job.spot else "training job usage"
        wanted = job.sent["ResourceConfig"].get("InstanceCount", 1)
        self._capacity.check_quota(job.kind, used=used, wanted=wanted, purpose=purpose)

    def _check_data(self, sent: Members) -> None:
        for channel in sent.get("InputDataConfig", ()):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            if not self._is_there(uri):
                bucket = uri.removeprefix("s3://").partition("/")[0]
                raise _invalid(
                    NO_DATA.format(uri=uri, region=self._region, role=sent["RoleArn"], bucket=bucket)
                )

    def _is_there(self, uri: str) -> bool:
        try:
            return next(keys(self._s3, uri), None) is not None
        except ClientError:
            return False

    def _job(self, sent: Members) -> Job:
        if sent["TrainingJobName"] not in self.jobs:
            raise _invalid("Requested resource not found.")
        return self.jobs[sent["TrainingJobName"]]


def _check(sent: Members) -> None:
    if not sent["AlgorithmSpecification"].get("TrainingImage"):
        raise _invalid("TrainingImage must be specified")
    resources = sent.get("ResourceConfig") or {}
    if not resources.get("InstanceType") or not resources.get("InstanceCount"):
        raise _invalid("InstanceType and InstanceCount must be specified")
    if not resources.get("VolumeSizeInGB"):
        raise _invalid("VolumeSizeInGB must be at least 1")
    limits = sent.get("StoppingCondition")
    if limits is None:
        raise _invalid("StoppingCondition must be specified")
    longest, wait = limits.get("MaxRuntimeInSeconds", DEFAULT_SECONDS), limits.get("MaxWaitTimeInSeconds")
    if sent.get("EnableManagedSpotTraining"):
        if wait is None or wait < longest:
            raise _invalid(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
                "MaxRuntimeInSeconds"
            )
    elif wait is not None:
        raise _invalid("MaxWaitTimeInSeconds can be specified only for managed spot training")


def _invalid(sentence: str) -> Refusal:
    return Refusal("ValidationException", sentence)
