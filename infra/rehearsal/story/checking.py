"""`imagine smoke aws` as on the first real account, against what stands in for it."""

import json
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import STAGE, NotSeen, Running, Stage

CHECKS = (
    "functions-start",
    "create-once",
    "known-members",
    "type-or-pools",
    "wait-spot",
    "schedule-ahead",
    "one-time-gone",
    "output-name",
    "failure-name",
    "new-config",
    "backlog-at-zero",
)
"""Those whose answer the stand-ins know, but for the slowest three (tests/infra/live_checks has them all)."""

STEP = 20.0
"""Seconds of the region's time that pass at each look of ours."""


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("imagine smoke aws") as row:
        row.fact = _smoke(stage)


def _smoke(stage: Stage) -> str:
    """Nobody waits for machines here: the region's time is moved on until the checks are through."""
    only = [word for check in CHECKS for word in ("--only", check)]
    options = ("--stage", STAGE, "--look", "0.5", "--json", "--output", str(stage.home / "smoke"))
    running = stage.begin("smoke", "aws", *only, *options, "--yes", "--max-cost", "5")
    stage.until(lambda: _is_over(stage, running), what="the end of imagine smoke aws", patience=300.0)
    report = stage.home / "smoke" / "smoke-aws.json"
    if not report.exists():
        raise NotSeen(running.finish()[-1000:])
    findings = json.loads(report.read_text())["findings"]
    if unwanted := [_line(one) for one in findings if one["verdict"]["state"] != "passed" or one["left"]]:
        raise NotSeen("; ".join(unwanted))
    return f"{len(findings)} checks passed, and left nothing"


def _is_over(stage: Stage, running: Running) -> bool:
    stage.region_control("region", advance=STEP)
    return running.process.poll() is not None


def _line(finding: Mapping[str, Any]) -> str:
    left = f", left: {finding['left']}" if finding["left"] else ""
    return f"{finding['id']} {finding['verdict']['state']}: {finding['verdict']['what']}{left}"
