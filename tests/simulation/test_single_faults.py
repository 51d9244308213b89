"""Every single fault at every call of every story ends in exactly one visible outcome."""

import pytest

from tests.simulation.faults import Plan
from tests.simulation.schedules import STORIES, broken, play, single_faults

LONG = (
    "no object at all",
    "two people",
    "called back of a failure",
    "called back, only the sweep",
    "token revoked before the card",
    "token revoked while it is drawn",
)


@pytest.mark.parametrize("story", STORIES)
def test_a_calm_story_keeps_every_promise(story):
    assert broken(story, play(story, Plan())) == []


@pytest.mark.parametrize("story", [name for name in STORIES if name not in LONG])
def test_no_single_fault_breaks_a_promise(story):
    found = [sentence for name, plan in single_faults(story) for sentence in broken(name, play(story, plan))]

    assert found == []


@pytest.mark.parametrize(
    "every", [pytest.param(3, marks=pytest.mark.slow, id="each third"), pytest.param(14, id="each 14th")]
)
@pytest.mark.parametrize("story", LONG)
def test_no_single_fault_breaks_a_longer_story(story, every):
    """Some faults of the longer stories: their calls are those of the short ones, repeated."""
    plans = list(single_faults(story))[::every]

    assert [sentence for name, plan in plans for sentence in broken(name, play(story, plan))] == []
