"""What goes wrong at the endpoint, and that each ends in one clear answer."""

import json

from infra.rehearsal.outages import no_worker, variables
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NAME, STAGE, NotSeen, Stage

SETTING = "IMAGINE_TABLE"


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("SageMaker throttles: the job goes on by itself") as row:
        stage.region_control(f"faults/{NAME}", throttled=1)
        card = stage.asked("a red apple --steps 10 --seed 22")
        stage.until(lambda: not _left(stage, "throttled"), what="a request that is throttled")
        row.fact = f"{len(stage.files(stage.ended(card)))} picture"
    with rows("imagine jobs list, and retry: told twice, drawn once") as row:
        row.fact = _told_twice(stage)
    with rows("the container refuses: told by an object in failed/") as row:
        row.fact = _fails(stage, seed=1, garbled_bodies=1, silent_failures=1)
    with rows("the container refuses: told by the error topic alone") as row:
        row.fact = _fails(stage, seed=2, garbled_bodies=1, missing_failure_objects=1)
    with rows("the container answers 500") as row:
        row.fact = _fails(stage, seed=3, crashed_engines=1)
    with rows("a function without one of its settings does not start") as row:
        row.fact = _without_setting(stage)
    with rows("a result that is told twice is delivered once"):
        before = _runs(stage, "result")
        stage.region_control(f"faults/{NAME}", duplicated_results=1)
        card = stage.draw("a red apple --steps 10 --seed 21")
        stage.until(lambda: _runs(stage, "result") == before + 2, what="two events of one result")
        if len(stage.files(card)) != 1:
            raise NotSeen(f"{len(stage.files(card))} pictures in the thread")


def _fails(stage: Stage, *, seed: int, **faults: int) -> str:
    """The same line twice within ten seconds would be a double click."""
    stage.region_control(f"faults/{NAME}", **faults)
    card = stage.draw(f"a red apple --steps 10 --seed {seed}")
    if stage.files(card) or "retry" not in card.controls:
        raise NotSeen(f"the card says {card.words!r}")
    return next(line for line in card.words.splitlines() if "Nothing was charged" in line)


def _without_setting(stage: Stage) -> str:
    """It says which one, and starts once it has it."""
    with variables(stage, "failure", lambda deployed: {k: v for k, v in deployed.items() if k != SETTING}):
        kind, told = stage.invoke("failure", {})
    if kind != "Unhandled" or f"not set in the environment: {SETTING}" not in told:
        raise NotSeen(f"{kind}: {told[:300]}")
    kind, told = stage.invoke("failure", {})
    if kind is not None:
        raise NotSeen(f"with it: {told[:300]}")
    return f"not set in the environment: {SETTING}; with it, it starts"


def _runs(stage: Stage, function: str) -> int:
    """How often the function has run to its end."""
    return sum(line.startswith("END ") for line in stage.logs(function))


def _told_twice(stage: Stage) -> str:
    """The retry is a second nudge for a job that has its first one still to come."""
    number = len(stage.slack.messages())
    with no_worker(stage):
        job = stage.accept("a red apple --steps 10 --seed 23")
        told = stage.imagine("jobs", "list", "--state", "accepted", "--stage", STAGE, "--json")
        if job not in {str(each["id"]) for each in json.loads(told)}:
            raise NotSeen(f"{job} is not in imagine jobs list")
        stage.imagine("jobs", "retry", job, "--stage", STAGE, "--yes")
    card = stage.ended(stage.card(number))
    if len(stage.files(card)) != 1 or len(stage.slack.messages()) != number + 1:
        raise NotSeen(f"{len(stage.files(card))} pictures")
    return "1 picture"


def _left(stage: Stage, fault: str) -> int:
    return int(stage.region_control(f"faults/{NAME}")["faults"][fault])
