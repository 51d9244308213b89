"""Named defects, each of which the simulator must find: the measure of the tests, not of the code."""

import dataclasses
import functools
from collections.abc import Iterator

import pytest

from bot.domain import steps, transitions
from bot.domain.job import State
from bot.domain.person import settlement_of
from bot.services import rows, work
from bot.services.rows import Hand
from tests.simulation import schedules
from tests.simulation.faults import Plan
from tests.simulation.schedules import STORIES, broken, play, random_world, single_faults
from tests.simulation.world import TIMES, World

pytestmark = pytest.mark.slow
BUDGET = 400


def post_again_without_looking(patch: pytest.MonkeyPatch) -> None:
    """The announcement's intent is ignored: an unknown post is simply repeated."""
    patch.setattr(
        steps, "_announcement", lambda job, *, now, times: steps.Due(step=steps.Step.ANNOUNCE, at=now)
    )


def deliver_again_without_looking(patch: pytest.MonkeyPatch) -> None:
    """The delivery's intent is ignored: an unknown share is simply repeated."""
    after_result = steps._after_result

    def hasty(job, *, now, times):
        due = after_result(job, now=now, times=times)
        return dataclasses.replace(due, step=steps.Step.DELIVER) if due.step is steps.Step.CONFIRM else due

    patch.setattr(steps, "_after_result", hasty)
    row = transitions.TRANSITIONS["intend_deliver"]
    eager = dataclasses.replace(row, before=row.before | {State.DELIVERING})
    patch.setitem(transitions.TRANSITIONS, "intend_deliver", eager)


def last_result_wins(patch: pytest.MonkeyPatch) -> None:
    """A later result replaces an earlier one."""
    row = transitions.TRANSITIONS["resolve"]
    always = dataclasses.replace(row, before=row.before | {State.RESOLVED, State.DELIVERING})
    patch.setitem(transitions.TRANSITIONS, "resolve", always)
    for module in (rows, work):
        patch.setattr(module, "is_unresolved", transitions.is_open)


def no_lease(patch: pytest.MonkeyPatch) -> None:
    """Two workers work on one job at once."""
    patch.setattr(Hand, "may_take", lambda self, job: True)


def quota_not_given_back(patch: pytest.MonkeyPatch) -> None:
    """A failed or cancelled job stays on the person's account."""
    patch.setattr(rows, "settlement_of", lambda job: dataclasses.replace(settlement_of(job), held=0))


def window_not_freed(patch: pytest.MonkeyPatch) -> None:
    """A decided job keeps its place in the endpoint's window."""
    patch.setattr(rows, "_settled_counters", lambda job, result: ())


def never_looks_for_objects(patch: pytest.MonkeyPatch) -> None:
    """Only events bring results; the look at the store finds nothing."""

    def event_only(hand, job):
        hand.rest(job, until_in=60.0)

    patch.setitem(work._STEPS, steps.Step.LOOK, event_only)


def leases_and_grace_too_short(patch: pytest.MonkeyPatch) -> None:
    """A process gives up on another one that is merely slow."""
    hasty = dataclasses.replace(TIMES, grace=1.0, lease=1.0)
    patch.setattr(schedules, "World", functools.partial(World, times=hasty))


MUTANTS = (
    post_again_without_looking,
    deliver_again_without_looking,
    last_result_wins,
    no_lease,
    quota_not_given_back,
    window_not_freed,
    never_looks_for_objects,
    leases_and_grace_too_short,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_simulator_finds(mutant, monkeypatch):
    mutant(monkeypatch)

    assert next(_found(), None) is not None, mutant.__doc__


def _found() -> Iterator[str]:
    """Violations in growing effort: calm stories, every single fault, random mixtures."""
    for story in STORIES:
        yield from broken(story, play(story, Plan()))
    for story in ("picture", "picture shared late", "cancelled early"):
        for name, plan in single_faults(story):
            yield from broken(name, play(story, plan))
    for seed in range(BUDGET):
        yield from broken(f"seed {seed}", random_world(seed))
