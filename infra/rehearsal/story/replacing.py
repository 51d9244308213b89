"""Old and new code on one table, as while a deploy replaces the functions one by one."""

from infra.docs import ROOT
from infra.function_python import runtime_python
from infra.local.slack.testing import Shown
from infra.rehearsal.former import commit_before, package_of
from infra.rehearsal.outages import code
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NotSeen, Stage
from infra.rehearsal.story.opening import until_opened

SEVEN = 7
"""Digits of a commit that people read."""


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("old code accepts a command, new code draws it") as row:
        commit = commit_before()
        with code(stage, _old(commit, "accept"), now=_new("accept"), functions=("slack",)):
            until_opened(stage, stage.signing.secret)
            card = stage.asked("a red apple --steps 10 --seed 60")
        row.fact = f"{_pictures(stage, stage.ended(card))} picture, accepted by {commit[:SEVEN]}"
    with rows("new code accepts a command, old code draws it") as row:
        commit = commit_before()
        until_opened(stage, stage.signing.secret)
        with code(stage, _old(commit, "work"), now=_new("work"), functions=("worker", "result")):
            card = stage.draw("a red apple --steps 10 --seed 61")
        row.fact = f"{_pictures(stage, card)} picture, drawn by {commit[:SEVEN]}"


def _pictures(stage: Stage, card: Shown) -> int:
    """Raises NotSeen where it is not one."""
    if (count := len(stage.files(card))) != 1:
        raise NotSeen(f"{count} pictures; the card says {card.words!r}")
    return count


def _old(commit: str, group: str) -> bytes:
    return package_of(commit, group, python=runtime_python())


def _new(group: str) -> bytes:
    """What `imagine deploy` packed."""
    return (ROOT / "build" / f"{group}.zip").read_bytes()
