"""Whether each function did what its role allows and nothing else, and the removal of everything."""

import json

from infra.rehearsal.rights import roles_of, tighten
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NAME, STAGE, NotSeen, Stage
from infra.rehearsal.story.opening import COLD_START


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("every call is within its function's role") as row:
        row.fact = _judge(stage)
    with rows("imagine endpoint delete"):
        stage.region_control("region", advance=COLD_START)  # one that changes cannot be deleted
        stage.begin("endpoint", "delete", "--stage", STAGE, "--yes", environment=stage.deployer).finish()
    with rows("imagine remove") as row:
        row.fact = _remove(stage)


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
    for role in roles_of(stage.clients, stage.functions):
        tighten(stage.clients, role)
    stage.imagine("remove", "--stage", STAGE, "--yes", environment=stage.deployer)
    if stage.functions:
        raise NotSeen(f"still there: {', '.join(stage.functions)}")
    return "no function is left; table and pictures are kept"
