"""Every control does its one thing once, for the right person, however stale it is."""

import dataclasses
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.domain.errors import Refused
from bot.domain.job import State, state_of
from bot.slack.actions import Pressed
from bot.slack.controls import CONTROLS, Target
from tests.unit.slack.world import COLOURS, ROBIN, png


def whispers(world, user="you"):
    return [shown.words for shown in world.slack.ephemerals(user)]


def thread_files(world, card):
    """Names of the files in the card's thread, oldest first."""
    return [file["name"] for reply in world.slack.thread("pictures", card.ts) for file in reply.files]


def pick(card, number):
    """The state Slack sends along when picture `number` (from 1) is chosen in the menu."""
    return {"pick": card.controls["pick"]["options"][number - 1]["value"]}


def more(world, card, entry, *, user="you"):
    """Choose an entry of the "…" menu."""
    values = [option["value"] for option in card.controls["more"]["options"]]
    return world.slack.select(
        card, "more", next(value for value in values if value.endswith(entry)), user=user
    )


def finish(world):
    world.work()
    world.draw()
    world.work()


def test_full_size_posts_the_chosen_original_into_the_thread(world):
    card = world.run("/imagine a red fox --n 4")

    assert world.slack.click(card, "full_size", state=pick(card, 3)).ok
    world.work()

    reply = world.slack.thread("pictures", card.ts)[-1]
    stored = world.objects.get(world.jobs()[0].result.pictures[2].key)
    assert reply.files[0]["name"].endswith("-3.png")
    assert world.slack.file_bytes(reply.files[0]["id"]) == stored
    assert whispers(world) == []


def test_without_a_choice_full_size_is_the_first_picture(world):
    card = world.run("/imagine a red fox --n 2")

    assert world.slack.click(card, "full_size").ok
    world.work()

    assert thread_files(world, card)[-1].endswith("-1.png")


def test_a_double_click_posts_one_picture(world):
    card = world.run("/imagine a red fox --n 2")
    for _ in range(2):
        assert world.slack.click(card, "full_size").ok
    world.work()
    assert world.slack.click(card, "full_size").ok
    world.work()

    assert len(thread_files(world, card)) == 2
    assert whispers(world) == [
        "Picture 1 is on its way into the thread.",
        "Picture 1 is in the thread already.",
    ]


def test_a_press_is_answered_before_the_upload_begins(world):
    card = world.run("/imagine a red fox --n 2")
    before = len(world.slack.traffic.all("files.getUploadURLExternal"))

    assert world.slack.click(card, "full_size").ok

    assert len(world.slack.traffic.all("files.getUploadURLExternal")) == before
    world.work()
    assert len(thread_files(world, card)) == 2


def test_choosing_a_picture_alone_changes_nothing(world):
    card = world.run("/imagine a red fox --n 2")

    assert world.slack.select(card, "pick", card.controls["pick"]["options"][1]["value"]).ok

    assert whispers(world) == []
    assert len(world.jobs()) == 1


def test_a_choice_that_belongs_to_another_job_is_ignored():
    mine, other = Target(job_id="a" * 26, index=0), Target(job_id="b" * 26, index=3)

    pressed = Pressed.of(payload(value=mine.value, chosen=other.value))

    assert pressed.target == mine


@pytest.mark.parametrize("value", ["", "x", "a" * 25, "a" * 26 + ".9999", "a" * 26 + ".edit", None, 7])
def test_a_control_we_never_made_is_refused(value):
    with pytest.raises(Refused, match="unknown_control"):
        Pressed.of(payload(value=value))


@given(st.text(max_size=40))
def test_a_control_value_is_read_back_or_refused(value):
    target = Target.parse(value)

    assert target is None or Target.parse(target.value) == target


def payload(*, value, chosen=None):
    """A block_actions payload as Slack sends it."""
    state = {"values": {CONTROLS: {"pick": {"selected_option": {"value": chosen}}}}} if chosen else {}
    return {
        "type": "block_actions",
        "user": {"id": "U0000000001", "team_id": "T0000000001"},
        "channel": {"id": "C0000000001"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C0000000001"},
        "message": {"ts": "1.2"},
        "state": state,
        "actions": [{"action_id": "full_size", "value": value, "action_ts": "3.4"}],
    }


def test_vary_starts_from_the_chosen_picture_in_the_same_thread(world):
    card = world.run("/imagine a red fox --n 4 --seed 7")

    assert world.slack.click(card, "vary", state=pick(card, 2)).ok
    finish(world)

    job = world.jobs()[0]
    assert (job.request.seed, job.parent) == (8, world.jobs()[1].id)
    assert job.request.subseed_strength > 0
    assert len(world.slack.messages()) == 1
    assert len(thread_files(world, card)) == 2


def test_reroll_draws_with_fresh_seeds_and_anybody_may(world):
    card = world.run("/imagine a red fox --seed 7")

    assert world.slack.click(card, "reroll", user="robin").ok
    finish(world)

    replies = world.slack.thread("pictures", card.ts)
    assert any(f"<@{ROBIN}>" in reply.text for reply in replies)
    assert "seed 7 " not in replies[-2].words


def test_a_reroll_of_a_reroll_stays_in_the_thread(world):
    card = world.run("/imagine a red fox")
    world.slack.click(card, "reroll")
    finish(world)
    second = next(reply for reply in world.slack.thread("pictures", card.ts) if reply.controls)

    assert world.slack.click(second, "reroll").ok
    finish(world)

    assert len(thread_files(world, card)) == 3
    assert len(world.slack.messages()) == 1


def test_two_quick_clicks_are_one_job(world):
    card = world.run("/imagine a red fox")
    for _ in range(2):
        assert world.slack.click(card, "reroll").ok

    assert len(world.jobs()) == 2
    assert whispers(world) == [
        "That was taken on a moment ago and runs already; its card shows how far it is."
    ]


def test_a_later_click_is_a_new_job(world):
    card = world.run("/imagine a red fox")
    world.slack.click(card, "reroll")
    world.clock.ahead += 11

    world.slack.click(card, "reroll")

    assert len(world.jobs()) == 3


def test_cancel_ends_a_waiting_job_and_offers_a_retry(world):
    world.slack.command("/imagine a red fox")
    world.work()
    (card,) = world.slack.messages()

    assert world.slack.click(card, "cancel").ok
    world.work()

    (card,) = world.slack.messages()
    assert "Cancelled." in card.words
    assert list(card.controls) == ["retry"]
    assert world.endpoint.cancelled != []


def test_retry_draws_again_in_the_thread(world):
    card = world.run("/imagine a red fox", answer=b'{"error": "boom"}')

    assert world.slack.click(card, "retry").ok
    finish(world)

    assert len(thread_files(world, card)) == 1


def test_a_stale_cancel_changes_nothing(world):
    world.slack.command("/imagine a red fox")
    world.work()
    (stale,) = world.slack.messages()
    world.draw()
    world.work()

    assert world.slack.click(stale, "cancel").ok

    assert "too late to cancel" in whispers(world)[-1]
    assert state_of(world.jobs()[0]) in (State.DONE, State.AUDITED)


def test_only_the_owner_or_an_admin_cancels(world):
    world.slack.command("/imagine a red fox", user="robin")
    world.work()
    (card,) = world.slack.messages()

    assert world.slack.click(card, "cancel", user="you").ok

    assert "Only the person who asked" in whispers(world)[-1]


def test_details_give_a_line_that_draws_it_again(world):
    card = world.run("/imagine a red fox --ar 16:9 --seed 7")

    assert more(world, card, "details", user="robin").ok

    line = whispers(world, "robin")[-1].splitlines()[0]
    world.clock.ahead += 11
    assert world.slack.command(line).ok
    again, first = world.jobs()
    assert again.request == first.request


def test_an_answer_leaves_a_card_that_was_shown_again_alone(world):
    world.run("/imagine a red fox")
    world.slack.command(f"/imagine show {world.jobs()[0].id}")
    shown = world.slack.ephemerals()[-1]

    assert more(world, shown, "details").ok

    assert len(world.slack.ephemerals()) == 2
    assert world.slack.ephemerals()[0].controls


def test_delete_asks_first_and_then_takes_everything_away(world):
    card = world.run("/imagine a red fox --n 2")
    world.slack.click(card, "full_size")
    world.work()

    assert more(world, card, "delete").ok
    question = world.slack.ephemerals()[-1]
    assert world.slack.messages()[0].words != "This picture was deleted."
    assert world.slack.click(question, "delete").ok
    world.work()

    assert world.slack.messages()[0].words == "This picture was deleted."
    assert thread_files(world, card) == []
    assert world.objects.list("images/") == ()
    assert [shown.words for shown in world.slack.ephemerals()] == ["Deleted."]


def test_strangers_are_not_even_asked(world):
    card = world.run("/imagine a red fox", user="robin")

    assert more(world, card, "delete", user="you").ok

    assert whispers(world) == ["Only the person who asked for it, or an admin, can do that."]


def test_an_admin_deletes_what_somebody_else_asked_for(world):
    card = world.run("/imagine a red fox")

    more(world, card, "delete", user="robin")
    assert world.slack.click(world.slack.ephemerals("robin")[-1], "delete", user="robin").ok
    world.work()

    assert world.slack.messages()[0].words == "This picture was deleted."


@pytest.mark.parametrize("action", ["full_size", "vary"])
def test_a_stale_control_of_a_deleted_job_says_so(world, action):
    card = world.run("/imagine a red fox --n 2")
    more(world, card, "delete")
    world.slack.click(world.slack.ephemerals()[-1], "delete")

    assert world.slack.click(card, action).ok

    assert "was deleted" in whispers(world)[-1]
    assert len(world.jobs()) == 1


@pytest.mark.parametrize("entry", ["details", "delete"])
def test_the_menu_of_a_deleted_job_gives_nothing_away(world, entry):
    card = world.run("/imagine a red fox")
    more(world, card, "delete")
    world.slack.click(world.slack.ephemerals()[-1], "delete")

    assert more(world, card, entry).ok

    assert "was deleted" in whispers(world)[-1]


def test_an_answer_to_a_control_in_a_thread_appears_in_that_thread(world):
    card = world.run("/imagine a red fox")
    world.slack.click(card, "reroll")
    finish(world)
    reply = next(reply for reply in world.slack.thread("pictures", card.ts) if reply.controls)

    more(world, reply, "details")

    assert world.slack.ephemerals()[-1].thread_ts == card.ts


def test_an_answer_that_cannot_be_given_is_counted_and_the_click_still_acked(world):
    card = world.run("/imagine a red fox")
    world.slack.faults.refuse("response_url", "expired_url")

    assert more(world, card, "details").ok

    assert "whisper_lost" in [name for name, _ in world.journal.events]


def test_a_control_of_a_job_of_another_workspace_is_no_such_job(world):
    card = world.run("/imagine a red fox")
    foreign = dataclasses.replace(world.jobs()[0], tenant="T0000000009")
    world.core.jobs.get = lambda _job_id: foreign

    assert world.slack.click(card, "reroll").ok

    assert "There is no job" in whispers(world)[-1]


def test_pictures_are_numbered_as_they_were_drawn(world):
    """Picture 2 of the menu is the second the endpoint sent."""
    card = world.run("/imagine a red fox --n 4")

    for number, colour in enumerate(COLOURS, start=1):
        world.slack.click(card, "full_size", state=pick(card, number))
        world.work()
        reply = world.slack.thread("pictures", card.ts)[-1]
        assert _same_pixels(world.slack.file_bytes(reply.files[0]["id"]), png(colour))


def _same_pixels(first, second):
    return Image.open(io.BytesIO(first)).tobytes() == Image.open(io.BytesIO(second)).tobytes()
