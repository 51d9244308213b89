"""What goes wrong at the endpoint, and that each ends in one clear answer."""

import json

from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NAME, STAGE, NotSeen, Stage


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("SageMaker throttles; imagine jobs list, and retry") as row:
        stage.region_control(f"faults/{NAME}", throttled=1)
        card = stage.asked("a red apple --steps 10 --seed 22")
        stage.until(lambda: not _left(stage, "throttled"), what="a request that is throttled")
        (job,) = stage.until(lambda: _jobs(stage), what="the job in imagine jobs list")
        stage.imagine("jobs", "retry", job, "--stage", STAGE, "--yes")
        row.fact = f"{len(stage.files(stage.ended(card)))} picture"
    with rows("the container refuses: told by an object in failed/") as row:
        row.fact = _fails(stage, seed=1, silent_failures=1)
    with rows("the container refuses: told by the error topic alone") as row:
        row.fact = _fails(stage, seed=2, missing_failure_objects=1)
    with rows("a result that is told twice is delivered once"):
        before = _runs(stage, "result")
        stage.region_control(f"faults/{NAME}", duplicated_results=1)
        card = stage.draw("a red apple --steps 10 --seed 21")
        stage.until(lambda: _runs(stage, "result") == before + 2, what="two events of one result")
        if len(stage.files(card)) != 1:
            raise NotSeen(f"{len(stage.files(card))} pictures in the thread")


def _fails(stage: Stage, *, seed: int, **faults: int) -> str:
    """The same line twice within ten seconds would be a double click."""
    stage.region_control(f"faults/{NAME}", garbled_bodies=1, **faults)
    card = stage.draw(f"a red apple --steps 10 --seed {seed}")
    if stage.files(card) or "retry" not in card.controls:
        raise NotSeen(f"the card says {card.words!r}")
    return next(line for line in card.words.splitlines() if "Nothing was charged" in line)


def _runs(stage: Stage, function: str) -> int:
    """How often the function has run to its end."""
    return sum(line.startswith("END ") for line in stage.logs(function))


def _jobs(stage: Stage) -> list[str]:
    """The ids of what waits to be handed to SageMaker again."""
    told = json.loads(stage.imagine("jobs", "list", "--state", "admitted", "--stage", STAGE, "--json"))
    return [str(job["id"]) for job in told]


def _left(stage: Stage, fault: str) -> int:
    return int(stage.region_control(f"faults/{NAME}")["faults"][fault])
