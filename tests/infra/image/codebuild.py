"""Stands in for CodeBuild, which moto knows but does not run: the buildspec's commands in a shell, over the
source from the bucket, with the programs of a machine on PATH.
"""

import io
import os
import subprocess
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.infra.image.conftest import Machine
from tests.infra.plain_account import PlainAccount

STREAM = "build-log"
AWS = """#!/bin/sh
[ "$1 $2" = "ecr get-login-password" ] && echo the-token
"""


@dataclass(kw_only=True)
class CodeBuild:
    """Runs whatever an account starts; `ended` is what it then says of the build."""

    account: PlainAccount
    machine: Machine
    folder: Path
    ended: dict[str, Any] = field(default_factory=dict)

    def install(self) -> None:
        """Docker, the command line of AWS and a shell, as on CodeBuild's own image."""
        self.machine.install("docker")
        (self.machine.folder / "sh").symlink_to("/bin/sh")
        aws = self.machine.folder / "aws"
        aws.write_text(AWS)
        aws.chmod(0o755)
        events = self.account["codebuild"].meta.events
        events.register("provide-client-params.codebuild.StartBuild", self._started)
        events.register("after-call.codebuild.BatchGetBuilds", self._told)

    def _started(self, params: dict[str, Any], **_: Any) -> None:
        named = self.account["codebuild"].batch_get_projects(names=[params["projectName"]])
        (project,) = named["projects"]
        assert project["environment"]["privilegedMode"], "docker needs it"
        bucket, _, key = params["sourceLocationOverride"].partition("/")
        source = self.account["s3"].get_object(Bucket=bucket, Key=key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(source)) as archive:
            archive.extractall(self.folder)
        told = {item["name"]: item["value"] for item in params["environmentVariablesOverride"]}
        assert sum(len(name) + len(value) for name, value in told.items()) < 5500, "CodeBuild's limit"
        spec = yaml.safe_load(project["source"]["buildspec"])
        assert spec["version"] == 0.2
        group = project["logsConfig"]["cloudWatchLogs"]["groupName"]
        self._run(spec["phases"]["build"]["commands"], {**os.environ, **told}, group)

    def _run(self, commands: list[str], environment: dict[str, str], group: str) -> None:
        """The first command that fails ends the build, as CodeBuild does it."""
        lines: list[str] = []
        self.ended = {"buildStatus": "SUCCEEDED"}
        for command in commands:
            ran = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            lines += [f"Running command {command}", *ran.stdout.splitlines(), *ran.stderr.splitlines()]
            if ran.returncode:
                said = f"Error while executing command: {command}. Reason: exit status {ran.returncode}"
                context = {"statusCode": "COMMAND_EXECUTION_ERROR", "message": said}
                phase = {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [context]}
                self.ended = {"buildStatus": "FAILED", "phases": [phase]}
                break
        self._log(group, lines)

    def _log(self, group: str, lines: list[str]) -> None:
        logs, named = self.account["logs"], {"logGroupName": group, "logStreamName": STREAM}
        logs.create_log_stream(**named)
        now = int(time.time() * 1000)  # the service takes no lines from a far day
        events = [{"timestamp": now, "message": f"{line}\n"} for line in lines]
        logs.put_log_events(**named, logEvents=events)

    def _told(self, parsed: dict[str, Any], **_: Any) -> None:
        (build,) = parsed["builds"]
        build |= {"logs": {"streamName": STREAM}, **self.ended}
