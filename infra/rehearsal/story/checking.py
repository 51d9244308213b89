"""`imagine smoke aws|slack` as on the first account and in the first workspace, against what stands in."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from infra.rehearsal.counting import Counting
from infra.rehearsal.region import ACCOUNT
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import BUCKET, NAME, STAGE, NotSeen, Running, Stage
from infra.rehearsal.story.opening import IMAGE

GOOD = {"passed", "measured"}
STEP = 20.0
"""Seconds of the region's time that pass at each look of ours."""

PATIENCE = 400.0
"""Seconds; the checks of Slack wait two minutes for a share that never comes."""

CHANNEL = "general"
"""The bot is in it, and nothing else of the story is."""

SPOT = "ml.g5.2xlarge"
A_MONTH = 28 * 24 * 3600


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises. Slack is asked meanwhile: its clock is that of the wall."""
    of_aws, of_slack = _in_aws(stage), _in_slack(stage)
    slack = _smoke_slack(stage)
    with rows("imagine smoke aws: every check") as row:
        row.fact = _aws(stage)
        _need_same(of_aws, _in_aws(stage))
    with rows("imagine smoke slack: every check") as row:
        stage.until(
            lambda: slack.process.poll() is not None, what="the end of imagine smoke slack", patience=PATIENCE
        )
        row.fact = _found(stage, slack, "slack")
        _need_same(of_slack, _in_slack(stage))


def _aws(stage: Stage) -> str:
    """Nobody waits for machines here: the region's time is moved on until the checks are through."""
    counting = Counting(
        logs=stage.clients["logs"],
        cloudwatch=stage.clients["cloudwatch"],
        prefix=f"/aws/lambda/{NAME}-",
        since=int(time.time() * 1000),
    )
    with _waiting_training(stage):
        running = _smoke(stage, "aws", "--look", "0.5", "--url", stage.api)
        stage.until(
            lambda: _is_over(stage, running, counting), what="the end of imagine smoke aws", patience=PATIENCE
        )
    return _found(stage, running, "aws")


def _smoke_slack(stage: Stage) -> Running:
    """With the token that lies in the stage's parameter."""
    channel = stage.slack.platform.workspace.channel_named(CHANNEL).id
    return _smoke(stage, "slack", "--channel", channel, SLACK_API_URL=stage.slack.api_url)


def _smoke(stage: Stage, what: str, *options: str, **environment: str) -> Running:
    told = ("--stage", STAGE, "--json", "--output", str(stage.home / "smoke"), "--yes", "--max-cost", "2")
    return stage.begin("smoke", what, *told, *options, environment=environment)


def _is_over(stage: Stage, running: Running, counting: Counting) -> bool:
    stage.region_control("region", advance=STEP)
    counting.go_on()
    return running.process.poll() is not None


@contextmanager
def _waiting_training(stage: Stage) -> Iterator[None]:
    """One of the stage's, for which no spot machine is to be had meanwhile."""
    sagemaker, name = stage.clients["sagemaker"], f"{NAME}-rehearsed"
    stage.region_control("region", capacity={"free": {SPOT: 0}})
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{NAME}-training",
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/training/"},
        ResourceConfig={"InstanceType": SPOT, "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": A_MONTH},
        EnableManagedSpotTraining=True,
    )
    try:
        yield
    finally:
        sagemaker.stop_training_job(TrainingJobName=name)


def _found(stage: Stage, running: Running, what: str) -> str:
    """What the report says, for programs and for people. Raises NotSeen, CommandFailed."""
    folder = stage.home / "smoke"
    report = folder / f"smoke-{what}.json"
    if not report.exists():
        raise NotSeen(running.finish()[-1000:])
    findings = json.loads(report.read_text())["findings"]
    if unwanted := [_line(one) for one in findings if one["verdict"]["state"] not in GOOD or one["left"]]:
        raise NotSeen("; ".join(unwanted))
    running.finish()
    page = (folder / f"smoke-{what}.md").read_text()
    if missing := [one["id"] for one in findings if f"| `{one['id']}` |" not in page]:
        raise NotSeen(f"the page does not tell {', '.join(missing)}")
    states = Counter(one["verdict"]["state"] for one in findings)
    return f"{', '.join(f'{count} {state}' for state, count in states.items())}, and nothing is left"


def _line(finding: Mapping[str, Any]) -> str:
    left = f", left: {finding['left']}" if finding["left"] else ""
    return f"{finding['id']} {finding['verdict']['state']}: {finding['verdict']['what']}{left}"


def _need_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises NotSeen naming what the checks have left or changed."""
    if changed := [
        f"{what}: {after[what]}, not {before[what]}" for what in before if before[what] != after[what]
    ]:
        raise NotSeen("; ".join(changed))


def _in_aws(stage: Stage) -> Mapping[str, Any]:
    """What the checks make for a while, as it stands now."""
    sagemaker, scaling = stage.clients["sagemaker"], stage.clients["application-autoscaling"]
    listed = stage.clients["s3"].list_objects_v2(Bucket=BUCKET).get("Contents", ())
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    actions = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    return {
        "objects": [entry["Key"] for entry in listed if "smoke" in entry["Key"]],
        "config": sagemaker.describe_endpoint(EndpointName=NAME)["EndpointConfigName"],
        "configs": sorted(
            told["EndpointConfigName"] for told in sagemaker.list_endpoint_configs()["EndpointConfigs"]
        ),
        "bounds": [(target["MinCapacity"], target["MaxCapacity"]) for target in targets],
        "scheduled": [action["ScheduledActionName"] for action in actions],
    }


def _in_slack(stage: Stage) -> Mapping[str, Any]:
    """A parent that was deleted leaves its tombstone."""
    workspace = stage.slack.platform.workspace
    messages = workspace.messages(workspace.channel_named(CHANNEL).id)
    return {
        "messages": [message.ts for message in messages if message.subtype != "tombstone"],
        "files": [file.id for file in workspace.files.values() if not file.deleted],
    }
