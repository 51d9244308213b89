"""The stand-in's training jobs: our training container as a process, and the states SageMaker tells."""

import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from infra.local.sagemaker.training_run import TrainingRun
from tests.aws.cloud import Cloud
from tests.infra.sagemaker.standing_region import ROLE, STUB_TRAINER, Stand, standing_region

QUICK = {
    "name": "blue",
    "trigger": "blueish",
    "steps": "2",
    "rank": "2",
    "batch_size": "1",
    "resolution": "64",
    "save_every": "1",
}
"""Two steps at 64 pixels."""
ENDLESS = QUICK | {"steps": "100000"}


@pytest.fixture
def stand() -> Iterator[Stand]:
    with standing_region(Cloud(), container_url="http://127.0.0.1:9", trainer=STUB_TRAINER) as stand:
        put_lesson(stand)
        yield stand


def put_lesson(stand: Stand) -> None:
    s3 = stand.cloud.clients["s3"]
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (20, 60, 230)).save(file, "PNG")
    s3.put_object(Bucket=stand.bucket, Key="pictures/1.png", Body=file.getvalue())
    s3.put_object(Bucket=stand.bucket, Key="base/emoji.safetensors", Body=b"not read")


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def request(stand: Stand, **changed: Any) -> dict[str, Any]:
    bucket = f"s3://{stand.bucket}"
    whole = {
        "TrainingJobName": "blue",
        "AlgorithmSpecification": {"TrainingImage": "image@sha256:0", "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": QUICK,
        "InputDataConfig": [channel("train", f"{bucket}/pictures/"), channel("model", f"{bucket}/base/")],
        "OutputDataConfig": {"S3OutputPath": f"{bucket}/output"},
        "CheckpointConfig": {"S3Uri": f"{bucket}/checkpoints"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changed,
    }
    return {key: value for key, value in whole.items() if value is not None}


SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
}


def told(stand: Stand, name: str = "blue") -> Any:
    return stand.sagemaker.describe_training_job(TrainingJobName=name)


def stage(stand: Stand) -> tuple[str, str]:
    job = told(stand)
    return job["TrainingJobStatus"], job["SecondaryStatus"]


def until(stand: Stand, *wanted: str) -> None:
    """The container takes real time."""
    stand.until(lambda: stage(stand)[1] in wanted, patience=60)


def checkpoints(stand: Stand) -> list[str]:
    listed = stand.cloud.clients["s3"].list_objects_v2(Bucket=stand.bucket, Prefix="checkpoints/")
    return [item["Key"] for item in listed.get("Contents", ())]


def log(stand: Stand) -> list[str]:
    logs, group = stand.cloud.session().create_client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="blue/")["logStreams"]
    events = [
        logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        for stream in streams
    ]
    return [event["message"] for told in events for event in told["events"]]


def test_a_job_starts_trains_and_leaves_its_model(stand: Stand):
    stand.sagemaker.create_training_job(**request(stand))
    assert stage(stand) == ("InProgress", "Starting")
    stand.advance(120)
    assert stage(stand)[1] in {"Training", "Completed"}
    until(stand, "Completed")

    job = told(stand)
    assert job["TrainingJobStatus"] == "Completed"
    passed = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    address = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert address == f"s3://{stand.bucket}/output/blue/output/model.tar.gz"
    body = stand.cloud.clients["s3"].get_object(Bucket=stand.bucket, Key="output/blue/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(body["Body"].read())) as packed:
        assert "Lora/blue.safetensors" in packed.getnames()
    assert checkpoints(stand) == ["checkpoints/training.pt"]
    assert any(line.startswith("step 2 of 2") for line in log(stand))
    assert stand.region.hosting.capacity.free["ml.g5.xlarge"] == 20, "the machine was given back"


def test_a_failure_says_what_the_container_wrote(stand: Stand):
    stand.sagemaker.create_training_job(**request(stand, HyperParameters={"steps": "soon"}))
    stand.advance(120)
    until(stand, "Failed")

    reason = told(stand)["FailureReason"]
    assert reason.startswith("AlgorithmError: hyperparameter steps must be a whole number")
    assert reason.endswith("exit code: 1")


def test_a_stopped_job_keeps_what_it_reached(stand: Stand):
    stand.sagemaker.create_training_job(**request(stand, HyperParameters=ENDLESS))
    stand.advance(120)
    stand.until(lambda: bool(stage(stand) and checkpoints(stand)), patience=60)
    stand.sagemaker.stop_training_job(TrainingJobName="blue")
    until(stand, "Stopped")

    assert stage(stand) == ("Stopped", "Stopped")
    assert told(stand)["ModelArtifacts"]["S3ModelArtifacts"].endswith("model.tar.gz")
    with pytest.raises(ClientError, match="the training job is in status Stopped"):
        stand.sagemaker.stop_training_job(TrainingJobName="blue")


def test_a_job_that_has_not_started_is_stopped_at_once(stand: Stand):
    stand.sagemaker.create_training_job(**request(stand))
    stand.sagemaker.stop_training_job(TrainingJobName="blue")

    assert stage(stand) == ("Stopped", "Stopped")
    assert "BillableTimeInSeconds" not in told(stand)


def test_a_spot_machine_that_is_taken_away_goes_on_from_its_checkpoint(stand: Stand):
    """The second run gets the first one's checkpoint: it has to do what is left, and no more."""
    stand.sagemaker.create_training_job(**request(stand, HyperParameters=ENDLESS, **SPOT))
    stand.advance(120)
    stand.until(lambda: bool(stage(stand) and checkpoints(stand)), patience=60)
    stand.region.change({"interruptions": 1})
    until(stand, "Starting")
    stand.advance(150)  # a machine is looked for first
    until(stand, "Training")
    stand.until(lambda: bool(stage(stand)) and any("going on after step" in line for line in log(stand)), 60)

    stages = [transition["Status"] for transition in told(stand)["SecondaryStatusTransitions"]]
    assert stages == [
        "Starting",
        "Downloading",
        "Training",
        "Interrupted",
        "Starting",
        "Downloading",
        "Training",
    ]


def test_the_time_limit_ends_a_job(stand: Stand):
    stand.sagemaker.create_training_job(**request(stand, HyperParameters=ENDLESS))
    stand.advance(120)
    stand.until(lambda: bool(stage(stand) and checkpoints(stand)), patience=60)
    stand.advance(3600)
    until(stand, "MaxRuntimeExceeded")
    stand.until(lambda: stage(stand)[0] == "Stopped", patience=60)

    assert "exceeded MaxRuntimeInSeconds" in told(stand)["FailureReason"]


def test_spot_waits_for_a_machine_and_not_for_ever(stand: Stand):
    stand.region.change({"capacity": {"free": {"ml.g5.xlarge": 0}}})
    stand.sagemaker.create_training_job(**request(stand, **SPOT))
    assert stage(stand) == ("InProgress", "Starting")
    stand.advance(7200)

    assert stage(stand) == ("Stopped", "MaxWaitTimeExceeded")


def test_on_demand_fails_where_there_is_no_machine(stand: Stand):
    stand.region.change({"capacity": {"free": {"ml.g5.xlarge": 0}}})
    stand.sagemaker.create_training_job(**request(stand))

    assert "CapacityError" in told(stand)["FailureReason"]


@pytest.fixture
def run(stand: Stand) -> Iterator[TrainingRun]:
    """A job's container that has ended; what lies among its checkpoints the test decides."""
    quiet = (sys.executable, "-c", "pass")
    run = TrainingRun(request(stand), s3=stand.cloud.clients["s3"], logs=None, moment=0.0, command=quiet)
    yield run
    run.close()


def test_a_checkpoint_that_is_renamed_before_it_is_looked_at_is_not_sent_yet(stand: Stand, run: TrainingRun):
    folder = run.root / "checkpoints"
    (folder / "a.pt").write_text("one")
    (folder / "b.pt").write_text("two")
    events = stand.cloud.clients["s3"].meta.events
    events.register("before-call.s3.PutObject", lambda **_: (folder / "b.pt").unlink(missing_ok=True))

    run.status()
    assert checkpoints(stand) == ["checkpoints/a.pt"]


def test_a_checkpoint_that_vanishes_while_it_is_read_is_sent_once_it_is_there_again(
    stand: Stand, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
):
    file = run.root / "checkpoints/training.pt"
    file.write_text("one")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Path, "read_bytes", vanishing(Path.read_bytes))
        run.status()
    assert checkpoints(stand) == []

    file.write_text("two")
    run.status()
    assert checkpoints(stand) == ["checkpoints/training.pt"]


def vanishing(read: Callable[[Path], bytes]) -> Callable[[Path], bytes]:
    """The file is gone just before it is opened."""

    def reading(path: Path) -> bytes:
        path.unlink()
        return read(path)

    return reading


def test_jobs_are_listed_by_name_and_status(stand: Stand):
    stand.sagemaker.create_training_job(**request(stand))
    stand.sagemaker.create_training_job(**request(stand, TrainingJobName="red"))
    stand.sagemaker.stop_training_job(TrainingJobName="red")

    def names(**asked: str) -> list[str]:
        listed = stand.sagemaker.list_training_jobs(**asked)["TrainingJobSummaries"]
        return sorted(job["TrainingJobName"] for job in listed)

    assert names() == ["blue", "red"]
    assert names(NameContains="bl") == ["blue"]
    assert names(StatusEquals="Stopped") == ["red"]
