"""A picture comes into the thread at full size once, whatever happens to the upload."""

import dataclasses

import pytest

from bot.domain.errors import Ambiguous, Busy, CellMoved, PeerError, Rejected
from bot.local.memory_objects import MemoryObjects
from bot.slack.full_size import GRACE, FullSize, Phase, shown_files
from bot.slack.place import address
from bot.slack.uploads import Uploads
from tests.unit.slack.factories import USER, done
from tests.unit.slack.world import png


@pytest.fixture
def parent(world):
    return world.slack.say("a card")


@pytest.fixture
def job(parent):
    sink = address(channel="C0000000001", user=USER)
    return dataclasses.replace(done(count=4), sink=sink, announced_ref=parent.ts)


@pytest.fixture
def full_size(world):
    return FullSize(uploads=Uploads(world.web), cells=world.core.cells, clock=world.clock)


def replies(world, parent):
    return world.slack.thread("pictures", parent.ts)


def failure(full_size, job):
    with pytest.raises(PeerError) as failed:
        full_size.post(job, 0, png())
    return next(kind for kind in (Ambiguous, Busy, Rejected, PeerError) if isinstance(failed.value, kind))


def test_each_picture_has_its_own_memory(world, parent, job, full_size):
    full_size.post(job, 0, png("red"))
    full_size.post(job, 1, png("blue"))

    assert len(replies(world, parent)) == 2
    assert len(shown_files(world.core.cells, job)) == 2


def test_a_lost_reply_is_unsure_then_found_by_looking(world, parent, job, full_size):
    world.slack.faults.drop_after("files.completeUploadExternal")

    assert failure(full_size, job) is Ambiguous
    assert failure(full_size, job) is Busy
    world.clock.ahead += GRACE + 1
    full_size.post(job, 0, png())
    full_size.post(job, 0, png())
    assert len(replies(world, parent)) == 1


def test_a_share_that_never_happened_is_made_after_grace_with_the_same_file(world, parent, job, full_size):
    world.slack.faults.drop_before("files.completeUploadExternal")
    assert failure(full_size, job) is Ambiguous
    world.clock.ahead += GRACE + 1

    full_size.post(job, 0, png())

    assert len(replies(world, parent)) == 1
    assert len(world.slack.traffic.all("files.getUploadURLExternal")) == 1


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_throttling_lets_the_next_press_try_again_at_once(world, parent, job, full_size, method):
    world.slack.faults.rate_limit(method)
    with pytest.raises(Busy):
        full_size.post(job, 0, png())

    full_size.post(job, 0, png())

    assert len(replies(world, parent)) == 1


def test_an_upload_that_broke_off_showed_nothing_and_can_be_pressed_again(world, parent, job, full_size):
    world.slack.faults.server_error("upload")
    assert failure(full_size, job) is Ambiguous

    full_size.post(job, 0, png())

    assert len(replies(world, parent)) == 1


def test_a_channel_that_closed_is_reported(world, job, full_size):
    world.slack.faults.refuse("files.completeUploadExternal", "not_in_channel")

    with pytest.raises(Rejected, match="not_in_channel"):
        full_size.post(job, 0, png())


def test_of_two_presses_at_once_one_posts(world, parent, job):
    class Raced:
        """Somebody else claims between our read and our write."""

        def __init__(self, cells):
            self.cells = cells

        def read(self, key):
            return self.cells.read(key)

        def write(self, key, value, *, expected):
            if value["phase"] == Phase.CLAIMED:
                raise CellMoved(key)
            return self.cells.write(key, value, expected=expected)

    raced = FullSize(uploads=Uploads(world.web), cells=Raced(world.core.cells), clock=world.clock)

    assert failure(raced, job) is Busy
    assert replies(world, parent) == []


def test_a_job_without_pictures_has_no_files(world, job):
    assert shown_files(world.core.cells, dataclasses.replace(job, result=None)) == ()
    assert MemoryObjects().list("") == ()
