"""What people see of a job in Slack, and what happens to it when Slack misbehaves."""

import dataclasses
import io
import threading

import pytest
from PIL import Image

from bot.domain.errors import Ambiguous, Busy, Rejected, Unauthorized
from bot.domain.job import Outcome, job_id
from bot.domain.messages import WAITS_FOR_SLACK
from bot.local.system import ManualClock as StillClock
from bot.slack.place import address
from bot.slack.rate import POSTS
from bot.slack.settings import Mention, SlackSettings
from bot.slack.thread_sink import SlackThreadSink
from infra.local.slack.clock import ManualClock
from infra.local.slack.testing import LocalSlack
from infra.slack_manifest import manifest
from tests.unit.slack.factories import NOW, announced, done, make_job, make_result, stage, submitted
from tests.unit.slack.world import TEAM, World, png

PICTURES, RANDOM = "C0000000001", "C0000000003"
HISTORY = SlackSettings(team_id=TEAM, history=True)


def placed(job, *, channel=PICTURES, thread=None, response_url=None):
    """The job, asked for in a channel of the local workspace just now."""
    where = address(channel=channel, user=job.person, thread=thread, response_url=response_url)
    return dataclasses.replace(job, sink=where)


def posted(world, job, *, channel=PICTURES):
    """The job with its card in the channel."""
    job = placed(job, channel=channel)
    ref = world.sink.announce(stage(dataclasses.replace(job, announced_ref=None)))
    return dataclasses.replace(job, announced_ref=ref)


def delivered(world, *, count=1):
    """A job whose pictures are in the thread."""
    job = posted(world, submitted(result=make_result(count=count)))
    job = dataclasses.replace(job, delivery_refs=world.sink.prepare(job, [png()] * count))
    world.sink.deliver(job)
    return dataclasses.replace(job, deliver_intent_at=NOW, delivered_at=NOW)


@pytest.fixture
def allowed_to_look():
    """A workspace in which the app holds the history scope."""
    scoped = manifest("http://127.0.0.1:9/bot")
    scoped["oauth_config"]["scopes"]["bot"].append("channels:history")
    with World(settings=HISTORY) as world:
        world.slack.reinstall(scoped)
        yield world


@pytest.fixture
def slow_files():
    """A workspace that takes a second to get an uploaded file ready; its clock is moved by hand."""
    with World(slack=LocalSlack(clock=ManualClock())) as world:
        world.slack.faults.readiness_seconds = 1.0
        yield world


def test_a_card_is_posted_with_the_job_in_its_metadata(world):
    ref = world.sink.announce(stage(placed(make_job())))

    (card,) = world.slack.messages()
    (exchange,) = world.slack.traffic.all("chat.postMessage")
    assert card.ts == ref
    assert make_job().id in str(exchange.request["metadata"])


def test_a_card_asked_for_in_a_thread_is_a_reply(world):
    parent = world.slack.say("look at this")

    world.sink.announce(stage(placed(make_job(), thread=parent.ts)))

    assert len(world.slack.thread("pictures", parent.ts)) == 1


def test_where_the_bot_is_no_member_the_card_is_refused(world):
    with pytest.raises(Rejected) as no:
        world.sink.announce(stage(placed(make_job(), channel=RANDOM)))
    assert no.value.code == "not_in_channel"


def test_a_card_whose_reply_was_lost_is_there_once(world):
    world.slack.faults.drop_after("chat.postMessage")

    with pytest.raises(Ambiguous):
        world.sink.announce(stage(placed(make_job())))
    assert len(world.slack.messages()) == 1


def in_one_moment(world):
    """The world's sink, for which no time passes."""
    settings = SlackSettings(team_id=TEAM)
    return SlackThreadSink(web=world.web, cells=world.core.cells, clock=StillClock(), settings=settings)


def test_a_flooded_channel_is_paced_without_asking_slack(world):
    sink = in_one_moment(world)
    for _ in range(3):
        sink.announce(stage(placed(make_job())))

    with pytest.raises(Busy):
        sink.announce(stage(placed(make_job())))
    assert len(world.slack.traffic.all("chat.postMessage")) == 3


def test_a_card_that_slack_refused_has_a_turn_behind_those_that_wait(world):
    sink, other = in_one_moment(world), in_one_moment(world)
    for _ in range(3):
        sink.announce(stage(placed(make_job())))
    for _ in range(9):
        with pytest.raises(Busy):
            sink.announce(stage(placed(make_job())))
    world.slack.faults.rate_limit("chat.postMessage", retry_after=1)

    with pytest.raises(Busy) as busy:
        other.announce(stage(placed(make_job())))
    assert busy.value.retry_after == pytest.approx(10 / POSTS.per_second)


def test_a_card_that_slack_refused_waits_as_long_as_slack_asked(world):
    world.slack.faults.rate_limit("chat.postMessage", retry_after=600)

    with pytest.raises(Busy) as busy:
        world.sink.announce(stage(placed(make_job())))
    assert busy.value.retry_after == 600


def test_who_has_waited_for_a_turn_does_not_ask_for_another(world):
    sink = in_one_moment(world)
    for _ in range(3):
        sink.announce(stage(placed(make_job())))

    sink.announce(stage(placed(make_job(attempts=1))))
    assert len(world.slack.messages()) == 4


def test_without_a_history_scope_a_lost_card_cannot_be_looked_up(world):
    with pytest.raises(Rejected, match="cannot_look"):
        world.sink.find_announcement(placed(make_job()))
    assert world.slack.traffic.all() == []


def test_a_promised_scope_that_is_missing_reads_as_cannot_look():
    with World(settings=HISTORY) as world, pytest.raises(Rejected, match="cannot_look"):
        world.sink.find_announcement(placed(make_job()))


def test_a_lost_card_is_found_by_its_metadata(allowed_to_look):
    world = allowed_to_look
    now = world.clock.now()
    wanted = placed(make_job(accepted_at=now))
    other = placed(make_job(id=job_id("T1", "other"), accepted_at=now))
    world.sink.announce(stage(other))
    world.slack.say("imagine_job")

    assert world.sink.find_announcement(wanted) is None
    ref = world.sink.announce(stage(wanted))
    assert world.sink.find_announcement(wanted) == ref


def test_a_lost_card_in_a_thread_is_found_there(allowed_to_look):
    world = allowed_to_look
    parent = world.slack.say("a thread")
    wanted = placed(make_job(accepted_at=world.clock.now()), thread=parent.ts)

    ref = world.sink.announce(stage(wanted))

    assert world.sink.find_announcement(wanted) == ref


def test_progress_edits_the_card_in_place(world):
    job = posted(world, submitted())

    world.sink.show(stage(job, step=5, steps=20))

    (card,) = world.slack.messages()
    assert "step 5 of 20" in card.words


def test_progress_without_a_token_is_skipped(world):
    job, sink = posted(world, submitted()), in_one_moment(world)
    for step in range(50):
        sink.show(stage(job, step=step, steps=50))

    assert len(world.slack.traffic.all("chat.update")) < 10


def test_a_final_state_is_shown_though_progress_used_every_token(world):
    job = posted(world, submitted())
    for step in range(50):
        world.sink.show(stage(job, step=step, steps=50))

    world.sink.finish(stage(dataclasses.replace(job, result=make_result(Outcome.TIMED_OUT))))

    assert "did not come back in time" in world.slack.messages()[0].words


def test_progress_after_the_end_changes_nothing(world):
    job = posted(world, submitted())
    world.sink.finish(stage(dataclasses.replace(job, result=make_result(Outcome.CANCELLED))))

    world.sink.show(stage(job, step=19, steps=20))

    assert "Cancelled." in world.slack.messages()[0].words


def test_progress_that_arrives_behind_the_final_state_corrects_itself(world):
    """The edit is on its way while another worker finishes the job."""
    job = posted(world, submitted())
    world.slack.faults.slow("chat.update", seconds=0.3)
    progress = threading.Thread(target=world.sink.show, args=(stage(job, step=19, steps=20),))
    progress.start()
    world.slack.wait_for(lambda: "step 19" in world.slack.messages()[0].words)

    world.sink.finish(stage(dataclasses.replace(job, result=make_result(Outcome.CANCELLED))))
    progress.join()

    assert "Cancelled." in world.slack.messages()[0].words


def test_one_picture_goes_into_the_thread_byte_for_byte(world):
    job = posted(world, submitted(result=make_result()))
    picture = png("green")

    refs = world.sink.prepare(job, [picture])
    assert world.slack.thread("pictures", job.announced_ref) == []
    world.sink.deliver(dataclasses.replace(job, delivery_refs=refs))

    (reply,) = world.slack.thread("pictures", job.announced_ref)
    assert reply.files[0]["name"] == f"a-red-fox-{job.id[:8]}-1.png"
    assert reply.files[0]["title"] == "a red fox"
    assert world.slack.file_bytes(refs[0]) == picture


def test_four_pictures_go_into_the_thread_as_one_sheet(world):
    job = delivered(world, count=4)

    (reply,) = world.slack.thread("pictures", job.announced_ref)
    sheet = Image.open(io.BytesIO(world.slack.file_bytes(reply.files[0]["id"])))
    assert reply.files[0]["name"].endswith("-1-4.png")
    assert sheet.width > 128
    assert sheet.height > 128


def test_the_pictures_mention_the_requester_once(world):
    job = delivered(world)

    (reply,) = world.slack.thread("pictures", job.announced_ref)
    assert reply.text.count(f"<@{job.person}>") == 1


def test_a_quiet_bot_mentions_nobody(world):
    settings = SlackSettings(team_id=TEAM, mention=Mention.QUIET)
    world.sink = SlackThreadSink(web=world.web, cells=world.core.cells, clock=world.clock, settings=settings)

    job = delivered(world)

    (reply,) = world.slack.thread("pictures", job.announced_ref)
    assert "<@" not in reply.text


def test_no_upload_carries_alt_text_that_would_lose_it(world):
    delivered(world)

    (asked,) = world.slack.traffic.all("files.getUploadURLExternal")
    assert "alt_txt" not in str(asked.request)


def test_a_card_in_a_thread_and_its_pictures_share_the_thread(world):
    parent = world.slack.say("look")
    job = placed(submitted(result=make_result()), thread=parent.ts)
    job = dataclasses.replace(job, announced_ref=world.sink.announce(stage(job)))
    job = dataclasses.replace(job, delivery_refs=world.sink.prepare(job, [png()]))

    world.sink.deliver(job)

    assert [len(reply.files) for reply in world.slack.thread("pictures", parent.ts)] == [0, 1]


def test_a_delivery_is_seen_once_slack_shows_the_share(slow_files):
    job = delivered(slow_files)

    assert not slow_files.sink.delivered(job)
    slow_files.slack.advance(2)
    assert slow_files.sink.delivered(job)


def test_a_file_that_nobody_completed_is_not_delivered(world):
    job = posted(world, submitted(result=make_result()))
    job = dataclasses.replace(job, delivery_refs=world.sink.prepare(job, [png()]))

    assert not world.sink.delivered(job)


def test_without_the_files_scope_nobody_can_look(world):
    job = delivered(world)
    world.slack.faults.refuse("files.info", "missing_scope")

    with pytest.raises(Rejected, match="cannot_look"):
        world.sink.delivered(job)


def test_a_delivery_whose_reply_was_lost_is_seen_by_looking(world):
    job = posted(world, submitted(result=make_result()))
    job = dataclasses.replace(job, delivery_refs=world.sink.prepare(job, [png()]))
    world.slack.faults.drop_after("files.completeUploadExternal")

    with pytest.raises(Ambiguous):
        world.sink.deliver(job)
    assert world.sink.delivered(job)


def test_the_finished_card_shows_the_picture(world):
    job = delivered(world)

    world.sink.finish(stage(job))

    (card,) = world.slack.messages()
    (image,) = [block for block in card.blocks if block["type"] == "image"]
    assert image["slack_file"]["id"] == job.delivery_refs[0]
    assert list(card.controls) == ["vary", "reroll", "more"]


def test_a_file_slack_does_not_know_yet_is_shown_when_the_card_is_finished_again(slow_files):
    world = slow_files
    job = delivered(world)
    world.sink.finish(stage(job))
    assert "in the thread" in world.slack.messages()[0].words

    world.slack.advance(2)
    world.sink.finish(stage(dataclasses.replace(job, done_at=NOW)))

    assert "image" in [block["type"] for block in world.slack.messages()[0].blocks]


def test_the_audit_takes_back_a_second_share(world):
    job = delivered(world)
    world.sink.deliver(job)
    assert len(world.slack.thread("pictures", job.announced_ref)) == 2

    with pytest.raises(Rejected, match="cannot_look"):
        world.sink.audit(job)

    assert len(world.slack.thread("pictures", job.announced_ref)) == 1


def test_the_audit_takes_back_a_second_card(allowed_to_look):
    world = allowed_to_look
    first = posted(world, announced(accepted_at=world.clock.now()))
    world.sink.announce(stage(placed(make_job())))

    world.sink.audit(dataclasses.replace(first, result=make_result(Outcome.CANCELLED)))

    assert [card.ts for card in world.slack.messages()] == [first.announced_ref]


def test_a_person_in_a_closed_channel_is_told_alone(world):
    assert world.slack.command("/imagine a red fox", channel="random").ok

    world.work()

    (told,) = world.slack.ephemerals()
    assert "/invite" in told.text
    assert world.slack.messages("random") == []


def test_whose_line_waits_for_another_token_is_told_so_once(world):
    assert world.slack.command("/imagine a red fox").ok
    world.slack.faults.refuse("chat.postMessage", "token_revoked", times=2)
    world.work()
    world.work()

    assert [told.text for told in world.slack.ephemerals()] == [WAITS_FOR_SLACK]
    assert len(world.slack.messages()) == 1
    assert len(world.slack.traffic.all("chat.postMessage")) == 3


def test_nobody_waits_who_has_cancelled_before_the_token_was_refused(world):
    world.slack.faults.refuse("chat.postMessage", "token_revoked")

    with pytest.raises(Unauthorized):
        world.sink.announce(stage(placed(done(Outcome.CANCELLED, announced_ref=None, done_at=None))))
    assert world.slack.ephemerals() == []


def test_a_reason_whose_card_is_gone_is_whispered(world):
    assert world.slack.command("/imagine a red fox").ok
    world.work()
    (card,) = world.slack.messages()
    world.web.call("chat.delete", channel=PICTURES, ts=card.ts)

    world.draw(answer=b'{"error": "CUDA out of memory"}')
    world.work()

    (told,) = world.slack.ephemerals()
    assert "Nothing was charged" in told.text


def test_a_failure_that_no_one_can_be_told_of_still_ends(world):
    world.sink.finish(stage(placed(done(Outcome.CANNOT_POST, announced_ref=None))))

    assert world.slack.traffic.all() == []


def test_a_card_that_slack_refuses_for_another_reason_is_reported(world):
    job = delivered(world)
    world.slack.faults.refuse("chat.update", "msg_too_long")

    with pytest.raises(Rejected, match="msg_too_long"):
        world.sink.finish(stage(job))


def test_removing_leaves_a_quiet_card_and_no_file(world):
    job = delivered(world)
    world.sink.finish(stage(job))

    world.sink.remove(job)
    world.sink.remove(job)

    (card,) = world.slack.messages()
    assert card.words == "This picture was deleted."
    assert world.slack.platform.workspace.files[job.delivery_refs[0]].deleted


def test_removing_works_though_the_card_is_gone(world):
    job = delivered(world)
    world.slack.faults.refuse("chat.update", "message_not_found")

    world.sink.remove(job)

    assert world.slack.platform.workspace.files[job.delivery_refs[0]].deleted
