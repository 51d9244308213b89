"""Signed slash commands by k6, as Slack sends them: so many a second, or by people who wait for each ack."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lambda_package.tool_environments import environment

SCRIPT = Path(__file__).parent / "deployed.js"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acks:
    """How long each answer took, and what was checked of them, a line each such as `acked: 50 of 50`."""

    milliseconds: Sequence[float]
    checks: Sequence[str]
    failed: int


def at_a_rate(url: str, *, seconds: int, run: str, secret: str, team: str, channel: str) -> Acks:
    """Five a second. `run` makes the words of this call differ from those of others."""
    place = {"URL": url, "SECRET": secret, "TEAM": team, "CHANNEL": channel}
    return _k6({**place, "RUN": run, "SECONDS": str(seconds)})


def by_five_people(url: str, *, commands: int, run: str, secret: str, team: str, channel: str) -> Acks:
    """Five people share the commands; each types the next one as soon as the last is acknowledged."""
    place = {"URL": url, "SECRET": secret, "TEAM": team, "CHANNEL": channel}
    return _k6({**place, "RUN": run, "COMMANDS": str(commands)})


def _k6(told: Mapping[str, str]) -> Acks:
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.json"
        command = ["run", "--quiet", "--no-usage-report", "--out", f"json={samples}", str(SCRIPT)]
        ended = subprocess.run(
            [environment("k6") / "k6", *command],
            env={"PATH": os.environ["PATH"], **told},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        return _acks(samples.read_text().splitlines(), json.loads(ended.stdout))


def _acks(samples: Sequence[str], checks: Sequence[Mapping[str, Any]]) -> Acks:
    """From k6's own formats: a line of JSON a sample, and the checks of its summary."""
    points = [told for told in map(json.loads, samples) if told["type"] == "Point"]
    return Acks(
        milliseconds=[point["data"]["value"] for point in points if point["metric"] == "ack"],
        checks=[f"{each['name']}: {each['passes']} of {each['passes'] + each['fails']}" for each in checks],
        failed=sum(each["fails"] for each in checks),
    )
