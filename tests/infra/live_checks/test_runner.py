"""Running checks: what is found is kept, what was made is removed, and nothing costs more than was agreed."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.domain.errors import Unavailable
from infra.live_checks.check import Check, NotNow, SmokeError, State, Verdict, measured, passed
from infra.live_checks.report import write
from infra.live_checks.runner import Run, chosen, need_budget, run_checks

Removed = list[str]


def check(name: str, run: Any, minutes: float = 0.0) -> Check[Removed]:
    return Check(id=name, claim=f"claim of {name}", source="a guide", run=run, minutes=minutes)


def made(site: Removed, undo: ExitStack) -> Verdict:
    undo.callback(site.append, "first")
    undo.callback(site.append, "second")
    return passed("found | it")


def broken(site: Removed, undo: ExitStack) -> Verdict:
    undo.callback(site.append, "made")
    raise Unavailable("down")


def stopped(site: Removed, undo: ExitStack) -> Verdict:
    undo.callback(site.append, "made")
    raise KeyboardInterrupt


def needy(_site: Removed, _undo: ExitStack) -> Verdict:
    raise NotNow("do this first")


def stubborn(site: Removed, undo: ExitStack) -> Verdict:
    def refuse() -> None:
        raise Unavailable("in_use")

    undo.callback(site.append, "removed all the same")
    undo.callback(refuse)
    return measured("7")


def run(*checks: Check[Removed]) -> tuple[Run, Removed]:
    removed: Removed = []
    return run_checks(checks, removed, hourly=1.0, told=lambda _finding: None), removed


@pytest.mark.parametrize(
    ("body", "state", "removed", "good"),
    [
        (made, State.PASSED, ["second", "first"], True),
        (broken, State.FAILED, ["made"], False),
        (stopped, State.INTERRUPTED, ["made"], False),
        (needy, State.NOT_RUN, [], True),
        (stubborn, State.MEASURED, ["removed all the same"], False),
    ],
)
def test_what_was_made_is_removed_however_it_ends(body: Any, state: State, removed: Removed, *, good: bool):
    done, undone = run(check("x", body))

    assert (done.findings[0].verdict.state, undone, done.is_good) == (state, removed, good)


def test_ctrl_c_ends_the_run_and_keeps_what_was_found():
    done, _ = run(check("a", made), check("b", stopped), check("c", made))

    assert [finding.id for finding in done.findings] == ["a", "b"]
    assert not done.is_whole


def test_above_the_agreed_cost_nothing_begins():
    dear = [check("a", made, minutes=60), check("b", made, minutes=90)]

    assert need_budget(dear, hourly=1.0, most=2.5) == 2.5
    with pytest.raises(SmokeError, match=r"may cost \$2\.50, and --max-cost is 2"):
        need_budget(dear, hourly=1.0, most=2.0)
    with pytest.raises(SmokeError, match="no check c"):
        chosen(dear, ["a", "c"])


def test_the_report_says_everything_twice(tmp_path: Path):
    done, _ = run(check("a", made, minutes=30), check("b", stubborn))

    for_programs, for_people = write(
        done, tmp_path / "out", what="aws", when="today", unchecked={"c": "cannot be known"}
    )

    told = json.loads(for_programs.read_text())
    assert (told["good"], told["whole"], told["findings"][0]["dollars"]) == (False, True, 0.5)
    page = for_people.read_text()
    assert "| `a` | claim of a | passed | found \\| it |" in page
    assert "- something of b could not be removed: Unavailable: in_use" in page
    assert "- c: cannot be known" in page
