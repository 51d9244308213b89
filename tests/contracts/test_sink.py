"""What every sink promises. Another one adds a parameter to `stand`."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.domain.job import Address, Job, Outcome, SinkKind
from bot.local.folder_sink import FOLDER, STEM, FolderSink
from bot.local.poll_sink import PollSink
from bot.ports import EndpointState, Sink, Stage, Warmth
from tests.contracts.rows import NOW, a_job, a_result, after

PICTURES = (b"first picture", b"second picture")


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A sink, where its outcomes go, and what a person sees there.

    `outcome` is None where the outcome is read from the row and not from the sink.
    """

    sink: Sink
    address: Address
    pictures: Callable[[Job], tuple[bytes, ...]]
    outcome: Callable[[Job], str | None] | None


def folder_stand(folder: Path) -> Stand:
    return Stand(
        sink=FolderSink(),
        address=Address(kind=SinkKind.FOLDER, parts={FOLDER: str(folder), STEM: "red-fox-aaaa"}),
        pictures=lambda _job: tuple(path.read_bytes() for path in sorted(folder.glob("[!.]*.png"))),
        outcome=lambda _job: json.loads((folder / "red-fox-aaaa.json").read_bytes())["outcome"],
    )


def poll_stand() -> Stand:
    sink = PollSink()
    return Stand(
        sink=sink,
        address=Address(kind=SinkKind.POLL),
        pictures=lambda job: PICTURES if sink.delivered(job) and job.deleted_at is None else (),
        outcome=None,
    )


@pytest.fixture(params=["folder", "poll"])
def stand(request, tmp_path: Path) -> Stand:
    return folder_stand(tmp_path / "out" / "deep") if request.param == "folder" else poll_stand()


def stage(job: Job) -> Stage:
    return Stage(job=job, endpoint=EndpointState(name="local", warmth=Warmth.AWAKE, window=3), place=0)


def announced(stand: Stand, **facts) -> Job:
    job = a_job(sink=stand.address, **facts)
    return after(job, announced_ref=stand.sink.announce(stage(job)))


def prepared(stand: Stand) -> Job:
    job = after(announced(stand), result=a_result(pictures=2))
    return after(job, delivery_refs=stand.sink.prepare(job, PICTURES))


def delivered(stand: Stand) -> Job:
    job = after(prepared(stand), deliver_intent_at=NOW)
    stand.sink.deliver(job)
    return after(job, delivered_at=NOW)


def test_an_announcement_has_a_reference_by_which_it_is_found_again(stand: Stand):
    job = announced(stand)
    assert job.announced_ref
    assert stand.sink.find_announcement(dataclasses.replace(job, announced_ref=None)) == job.announced_ref


def test_announcing_again_after_a_lost_reply_makes_no_second_one(stand: Stand):
    job = announced(stand)
    assert stand.sink.announce(stage(job)) == job.announced_ref


def test_stages_may_be_shown_at_any_time(stand: Stand):
    job = announced(stand)
    for _ in range(2):
        stand.sink.show(dataclasses.replace(stage(job), step=3, steps=20))
    assert stand.pictures(job) == ()


def test_prepared_pictures_are_not_visible_yet(stand: Stand):
    job = prepared(stand)
    assert stand.pictures(job) == ()
    assert not stand.sink.delivered(job)


def test_preparing_again_is_harmless(stand: Stand):
    job = prepared(stand)
    assert stand.sink.prepare(job, PICTURES) == job.delivery_refs
    assert stand.pictures(job) == ()


def test_a_delivery_shows_every_picture_whole_and_in_order(stand: Stand):
    job = delivered(stand)
    assert stand.sink.delivered(job)
    assert stand.pictures(job) == PICTURES


def test_delivering_again_after_a_lost_reply_shows_nothing_twice(stand: Stand):
    job = delivered(stand)
    stand.sink.deliver(job)
    assert stand.pictures(job) == PICTURES


def test_finishing_shows_the_outcome_and_may_be_repeated(stand: Stand):
    job = delivered(stand)
    for _ in range(2):
        stand.sink.finish(stage(job))
    assert stand.outcome is None or stand.outcome(job) == "ok"
    assert stand.pictures(job) == PICTURES


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_every_outcome_without_pictures_can_be_shown(stand: Stand, outcome: Outcome):
    job = after(announced(stand), result=a_result(outcome))
    stand.sink.finish(stage(job))
    assert stand.outcome is None or stand.outcome(job) == outcome
    assert stand.pictures(job) == ()


def test_pictures_that_could_not_be_delivered_are_told_as_such(stand: Stand):
    job = after(prepared(stand), undelivered=Outcome.CANNOT_DELIVER)
    stand.sink.finish(stage(job))
    assert stand.outcome is None or stand.outcome(job) == "cannot_deliver"


def test_an_audit_leaves_the_one_delivery_alone(stand: Stand):
    job = delivered(stand)
    stand.sink.audit(job)
    assert stand.pictures(job) == PICTURES


def test_a_removed_outcome_is_out_of_sight_and_removing_again_is_harmless(stand: Stand):
    job = after(delivered(stand), done_at=NOW, deleted_at=NOW)
    for _ in range(2):
        stand.sink.remove(job)
    assert stand.pictures(job) == ()


def test_a_job_that_never_showed_anything_can_be_removed(stand: Stand):
    job = a_job(sink=stand.address, deleted_at=NOW)
    stand.sink.remove(job)
    assert stand.pictures(job) == ()
