"""Whatever one call to Slack does, a job ends in one card, one share and one final state."""

import pytest

from bot.domain.job import Outcome, State, state_of
from bot.slack.settings import SlackSettings
from infra.slack_manifest import manifest
from tests.unit.slack.world import TEAM, World

METHODS = (
    "chat.postMessage",
    "chat.update",
    "files.getUploadURLExternal",
    "upload",
    "files.completeUploadExternal",
    "files.info",
    "conversations.history",
)
FAULTS = ("rate_limit", "server_error", "drop_before", "drop_after")


@pytest.fixture
def world():
    scoped = manifest("http://127.0.0.1:9/bot")
    scoped["oauth_config"]["scopes"]["bot"].append("channels:history")
    with World(settings=SlackSettings(team_id=TEAM, history=True)) as running:
        running.slack.reinstall(scoped)
        yield running


def run_to_the_end(world, line):
    """Type a line; workers come back, and the clock moves on, until nothing is left to do."""
    assert world.slack.command(line).ok
    for _ in range(12):
        world.work()
        world.draw()
        world.clock.ahead += 61
        if all(state_of(job) is State.AUDITED for job in world.jobs()):
            return
    raise AssertionError([state_of(job) for job in world.jobs()])


def ends_well(world):
    (card,) = world.slack.messages()
    shares = [reply for reply in world.slack.thread("pictures", card.ts) if reply.files]
    (job,) = world.jobs()
    assert job.final_outcome is Outcome.OK
    assert len(shares) == 1
    assert "vary" in card.controls
    assert "image" in [block["type"] for block in card.blocks]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_changes_nothing_in_the_end(world, method, fault):
    getattr(world.slack.faults, fault)(method)

    run_to_the_end(world, "/imagine a red fox")

    ends_well(world)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_fault_twice_changes_nothing_in_the_end(world, method, fault):
    getattr(world.slack.faults, fault)(method, times=2)

    run_to_the_end(world, "/imagine a red fox")

    ends_well(world)


def test_a_share_that_slack_dropped_is_made_again(world):
    world.slack.faults.dropped_shares = 1

    run_to_the_end(world, "/imagine a red fox")

    ends_well(world)


def test_a_channel_that_refuses_uploads_says_how_to_fix_it(world):
    world.slack.faults.refuse("files.completeUploadExternal", "not_in_channel")

    run_to_the_end(world, "/imagine a red fox")

    (card,) = world.slack.messages()
    assert "/invite @Imagine" in card.words
    assert list(card.controls) == ["retry"]
