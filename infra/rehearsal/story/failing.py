"""What goes wrong at the endpoint, and that each ends in one clear answer."""

from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NAME, NotSeen, Stage


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("the container refuses: told by an object in failed/") as row:
        row.fact = _fails(stage, seed=1, silent_failures=1)
    with rows("the container refuses: told by the error topic alone") as row:
        row.fact = _fails(stage, seed=2, missing_failure_objects=1)
    with rows("a result that is told twice is delivered once") as row:
        stage.region_control(f"faults/{NAME}", duplicated_results=1)
        card = stage.draw("a red apple --steps 10 --seed 21")
        stage.until(lambda: _is_told_twice(stage), what="two events of one result")
        if len(stage.files(card)) != 1:
            raise NotSeen(f"{len(stage.files(card))} pictures in the thread")
    with rows("SageMaker throttles: tried again") as row:
        stage.region_control(f"faults/{NAME}", throttled=1)
        stage.draw("a red apple --steps 10 --seed 22")


def _fails(stage: Stage, *, seed: int, **faults: int) -> str:
    """The same line twice within ten seconds would be a double click."""
    stage.region_control(f"faults/{NAME}", garbled_bodies=1, **faults)
    card = stage.draw(f"a red apple --steps 10 --seed {seed}")
    if stage.files(card) or "retry" not in card.controls:
        raise NotSeen(f"the card says {card.words!r}")
    return next(line for line in card.words.splitlines() if "Nothing was charged" in line)


def _is_told_twice(stage: Stage) -> bool:
    starts = [line for line in stage.logs("result") if line.startswith("START")]
    ends = [line for line in stage.logs("result") if line.startswith("END")]
    return len(starts) == len(ends)
