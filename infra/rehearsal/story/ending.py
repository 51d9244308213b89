"""Whether each function did what its role allows and nothing else, and the removal of everything."""

import json
from pathlib import Path

from infra.rehearsal.rights import roles_of, tighten
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import BUCKET, NAME, STAGE, NotSeen, Stage
from infra.rehearsal.story.opening import COLD_START, deploy, loosen_all, until_opened

UNVALIDATED = Path(__file__).parents[1] / "unvalidated.cjs"


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("every call is within its function's role") as row:
        row.fact = _judge(stage)
    with rows("imagine endpoint delete"):
        stage.region_control("region", advance=COLD_START)  # one that changes cannot be deleted
        stage.begin("endpoint", "delete", "--stage", STAGE, "--yes", environment=stage.deployer).finish()
    with rows("imagine remove: table, pictures and secrets stay") as row:
        row.fact = _remove(stage)
    with rows("imagine deploy again: it takes them in") as row:
        row.fact = _again(stage)
    with rows("imagine remove --data: nothing is left") as row:
        row.fact = _remove_data(stage)


def _judge(stage: Stage) -> str:
    roles = roles_of(stage.clients, stage.functions)
    record = stage.region.gateway.record
    made = {role.function: [entry.call for entry in record.by(role.key)] for role in roles}
    stage.report.write_text(
        json.dumps(
            {
                role.function.removeprefix(f"{NAME}-"): {
                    "calls": sorted({(call.action, call.resource) for call in made[role.function]}),
                    "rights": sorted({(right.action, right.resource) for right in role.rights}),
                }
                for role in roles
            },
            indent=1,
        )
    )
    refused = [f"{role.function}: {call}" for role in roles for call in role.refused(made[role.function])]
    if refused:
        raise NotSeen("outside their roles: " + "; ".join(refused))
    return f"{sum(map(len, made.values()))} calls by {len(roles)} functions"


def _remove(stage: Stage) -> str:
    _tighten(stage)
    stage.imagine("remove", "--stage", STAGE, "--yes", environment=stage.deployer)
    if stage.functions or not stage.job_ids():
        raise NotSeen(f"still there: {', '.join(stage.functions)}; {len(stage.job_ids())} jobs")
    return f"no function is left, {len(stage.job_ids())} jobs and {len(_pictures(stage))} pictures are"


def _again(stage: Stage) -> str:
    """The new stack has the old table and bucket, with all that is in them, and draws."""
    jobs, pictures = stage.job_ids(), _pictures(stage)
    deploy(stage, NODE_OPTIONS=f"--require {UNVALIDATED}")
    loosen_all(stage)
    held = stage.clients["cloudformation"].describe_stack_resources(StackName=NAME)["StackResources"]
    names = {resource["PhysicalResourceId"] for resource in held}
    if not {NAME, BUCKET} <= names or stage.job_ids() != jobs or _pictures(stage) != pictures:
        raise NotSeen(f"table or bucket are not in the stack, or have lost something: {sorted(names)}")
    stage.slack.connect_bot(f"{stage.api}/slack/events")
    until_opened(stage, stage.signing.secret)
    return f"{len(jobs)} jobs, {len(pictures)} pictures; the secrets open"


def _remove_data(stage: Stage) -> str:
    """Whoever types another name keeps everything."""
    _tighten(stage)
    options = ("remove", "--data", "--stage", STAGE, "--yes")
    stage.begin(*options, typed="dev\n", environment=stage.deployer).finish(status=1)
    stage.imagine(*options, typed=f"{STAGE}\n", environment=stage.deployer)
    left = [*_tables(stage), *_buckets(stage), *stage.functions, *_parameters(stage)]
    if left:
        raise NotSeen(f"still there: {', '.join(left)}")
    return "no table, bucket, parameter or function of the stage"


def _tighten(stage: Stage) -> None:
    for role in roles_of(stage.clients, stage.functions):
        tighten(stage.clients, role)


def _pictures(stage: Stage) -> set[str]:
    told = stage.clients["s3"].list_objects_v2(Bucket=BUCKET, Prefix="images/")
    return {entry["Key"] for entry in told.get("Contents", ())}


def _tables(stage: Stage) -> list[str]:
    return [name for name in stage.clients["dynamodb"].list_tables()["TableNames"] if name.startswith(NAME)]


def _buckets(stage: Stage) -> list[str]:
    told = stage.clients["s3"].list_buckets()["Buckets"]
    return [bucket["Name"] for bucket in told if bucket["Name"].startswith(NAME)]


def _parameters(stage: Stage) -> list[str]:
    told = stage.clients["ssm"].describe_parameters()["Parameters"]
    return [parameter["Name"] for parameter in told if f"/{STAGE}/" in parameter["Name"]]
