"""One run of a training job: our training container as a process, in folders laid out as SageMaker lays them.

Channels and checkpoints come from S3 before it starts; checkpoints, the model and log lines go there. A run
takes real time; when it begins and what follows from its end is the control plane's (training.py).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.local.sagemaker.errors import Refusal

Members = Mapping[str, Any]
COMMAND = (sys.executable, "-m", "container", "train")
KILL_AFTER = 120.0
FAILURE_CHARACTERS = 1024
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class TrainingRun:
    """The process of one job. `job` is its CreateTrainingJob request."""

    def __init__(
        self, job: Members, *, s3: Any, logs: Any, moment: float, command: Sequence[str] = COMMAND
    ) -> None:
        self._job = job
        self._s3 = s3
        self._logs = logs
        self._stream = f"{job['TrainingJobName']}/algo-1-{int(moment)}"
        self._folder = Path(tempfile.mkdtemp(prefix="training-"))
        self.root = self._folder / "ml"
        self._sent: dict[str, int] = {}
        self._told = 0
        self._lay_out()
        self._output = self._folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "--root", str(self.root)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **job.get("Environment", {})},  # noqa: TID251  a child inherits PATH
                start_new_session=True,
            )

    def status(self) -> int | None:
        """Exit status, None while it runs. What it has saved and said is passed on."""
        status = self._process.poll()
        self._send_checkpoints()
        self._send_log()
        return status

    def end(self) -> None:
        """Ask it to end, as SageMaker does before it takes the machine away."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    @property
    def failure(self) -> str:
        """What the container wrote about why it failed."""
        file = self.root / "output/failure"
        return file.read_text(errors="replace")[:FAILURE_CHARACTERS] if file.is_file() else ""

    def send_model(self) -> str | None:
        """Pack and upload what it left in /opt/ml/model; the s3:// address, None where there is nothing."""
        files = sorted(path for path in (self.root / "model").rglob("*") if path.is_file())
        if not files:
            return None
        archive = self._folder / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as packed:
            for path in files:
                packed.add(path, path.relative_to(self.root / "model"))
        address = artifacts_of(self._job)
        bucket, key = split(address)
        self._s3.put_object(Bucket=bucket, Key=key, Body=archive.read_bytes())
        return address

    def close(self) -> None:
        """End the process if it still runs, and remove its folders."""
        self.end()
        try:
            self._process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _lay_out(self) -> None:
        for folder in ("input/config", "model", "output", "checkpoints"):
            (self.root / folder).mkdir(parents=True)
        hyperparameters = json.dumps(self._job.get("HyperParameters", {}))
        (self.root / "input/config/hyperparameters.json").write_text(hyperparameters)
        for channel in self._job.get("InputDataConfig", ()):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            self._fetch(uri, self.root / "input/data" / channel["ChannelName"])
        if "CheckpointConfig" in self._job:
            place = self.root / "checkpoints"
            self._fetch(self._checkpoints, place)
            self._sent = {str(path): path.stat().st_mtime_ns for path in place.rglob("*")}

    def _fetch(self, uri: str, place: Path) -> None:
        """What lies below a prefix, under the names it has after the prefix's last slash."""
        bucket, prefix = split(uri)
        cut = prefix.rpartition("/")[0]
        for key in keys(self._s3, uri):
            target = place / key.removeprefix(cut).lstrip("/")
            if target.resolve().is_relative_to(place.resolve()) and not key.endswith("/"):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(self._s3.get_object(Bucket=bucket, Key=key)["Body"], file)

    @property
    def _checkpoints(self) -> str:
        return f"{self._job['CheckpointConfig']['S3Uri'].rstrip('/')}/"

    def _send_checkpoints(self) -> None:
        if "CheckpointConfig" not in self._job:
            return
        for folder, _, names in os.walk(self.root / "checkpoints"):  # leaves out a folder that vanishes
            for name in sorted(names):
                try:
                    self._send_checkpoint(Path(folder, name))
                except FileNotFoundError:
                    continue  # the trainer has renamed or removed it: what is there is sent at the next look

    def _send_checkpoint(self, path: Path) -> None:
        """Send a file that has changed. Raises FileNotFoundError where it is gone."""
        if path.suffix == ".unfinished":
            return
        changed = path.stat().st_mtime_ns
        if self._sent.get(str(path)) == changed:
            return
        bucket, prefix = split(self._checkpoints)
        key = f"{prefix}{path.relative_to(self.root / 'checkpoints')}"
        self._s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        self._sent[str(path)] = changed

    def _send_log(self) -> None:
        if self._logs is None:
            return
        with self._output.open("rb") as output:
            output.seek(self._told)
            new = output.read()
        whole = new[: new.rfind(b"\n") + 1]
        lines = [line for line in whole.decode(errors="replace").splitlines() if line]
        if lines:
            self._write_log(lines)
        self._told += len(whole)

    def _write_log(self, lines: list[str]) -> None:
        named = {"logGroupName": LOG_GROUP, "logStreamName": self._stream}
        if not self._told:
            if not self._logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
                self._logs.create_log_group(logGroupName=LOG_GROUP)
            self._logs.create_log_stream(**named)
        moment = int(self._output.stat().st_mtime * 1000)
        self._logs.put_log_events(
            **named, logEvents=[{"timestamp": moment, "message": line} for line in lines]
        )


def artifacts_of(job: Members) -> str:
    """Where the model of a CreateTrainingJob request goes."""
    output = job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{output}/{job['TrainingJobName']}/output/model.tar.gz"


def keys(s3: Any, uri: str) -> Iterator[str]:
    """The keys below an s3:// address."""
    bucket, prefix = split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield item["Key"]


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// address. Raises Refusal for another."""
    if not uri.startswith("s3://"):
        raise Refusal("ValidationException", f"{uri} is no S3 URL")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
