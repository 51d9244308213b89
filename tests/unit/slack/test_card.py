"""A card tells the truth in every state, whatever was typed, and Slack accepts it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from bot.domain.job import Outcome
from bot.ports import Warmth
from bot.slack.blocks import MAX_BLOCKS_JSON, size
from bot.slack.card import final_card, open_card
from bot.slack.controls import Action, Target
from bot.slack.place import address
from bot.slack.settings import Mention
from infra.local.slack.blockcheck import check_blocks
from tests.unit.slack.factories import (
    NOW,
    USER,
    announced,
    done,
    make_job,
    make_request,
    make_result,
    stage,
    submitted,
)


def words(message):
    """Everything a person can read in the blocks."""

    def texts(part):
        if isinstance(part, dict):
            own = [part["text"]] if isinstance(part.get("text"), str) else []
            return own + [
                text for value in part.values() if not isinstance(value, str) for text in texts(value)
            ]
        return [text for item in part for text in texts(item)] if isinstance(part, list) else []

    return "\n".join(texts(message.blocks))


def controls(message):
    return {
        element["action_id"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


def image_of(message):
    return next((block for block in message.blocks if block["type"] == "image"), None)


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (stage(make_job(), warmth=Warmth.ASLEEP), "The GPU is asleep"),
        (stage(announced(), warmth=Warmth.WAKING, place=2), "waking up"),
        (stage(announced(), warmth=Warmth.WAKING, place=2), "2 jobs are ahead"),
        (stage(announced(), place=0), "It is next."),
        (stage(announced(), place=1), "1 job is ahead"),
        (stage(announced(), place=100), "100 or more jobs"),
        (stage(announced(), warmth=Warmth.DOWN), "does not answer"),
        (stage(announced(admitted_at=NOW)), "On its way to the GPU."),
        (stage(submitted()), "Handed to the GPU."),
        (stage(submitted(), warmth=Warmth.ASLEEP), "is being woken"),
        (stage(submitted(), step=5, steps=20), "Drawing: step 5 of 20."),
        (stage(submitted(held=make_result(), hold_until=NOW)), "held until an admin"),
        (stage(submitted(result=make_result())), "Posting it here."),
        (stage(make_job(result=make_result(Outcome.CANCELLED))), "Cancelled."),
    ],
)
def test_an_open_card_says_where_the_job_stands(shown, told):
    assert told in words(open_card(shown))


def test_an_open_card_names_who_asked_and_what_for_without_notifying():
    card = open_card(stage(announced()))

    asked, prompt = card.blocks[0]["elements"]
    assert asked["elements"][0]["text"] == "robin"
    assert "user" not in _parsed_elements(card.blocks)
    assert prompt == {"type": "rich_text_quote", "elements": [{"type": "text", "text": "a red fox"}]}


def test_an_open_card_shows_the_settings_and_how_long_it_waits():
    request = make_request(n=4, style="oil", negative_prompt="text", model="big")

    shown = words(open_card(stage(announced(request=request))))

    for part in ("512×512", "4 pictures", "20 steps", "Euler a", "cfg 7", "seeds 7, 8, 9, 10"):
        assert part in shown
    for part in ("style oil", "without text", "big", "at most 6 h"):
        assert part in shown


@pytest.mark.parametrize("job", [make_job(), announced(), submitted()])
def test_an_undecided_job_can_be_cancelled(job):
    assert controls(open_card(stage(job)))["cancel"]["value"] == job.id


def test_a_decided_job_cannot_be_cancelled():
    assert controls(open_card(stage(submitted(result=make_result())))) == {}


def test_a_final_card_shows_the_picture_with_the_prompt_as_alt_text():
    picture = image_of(final_card(done(), with_image=True))

    assert picture["slack_file"] == {"id": "F1"}
    assert picture["alt_text"] == "a red fox"


def test_a_final_card_without_the_image_points_into_the_thread():
    card = final_card(done(), with_image=False)

    assert image_of(card) is None
    assert "in the thread" in words(card)


def test_one_picture_needs_no_menu():
    assert list(controls(final_card(done(), with_image=True))) == ["vary", "reroll", "more"]


def test_several_pictures_can_be_picked():
    found = controls(final_card(done(count=4), with_image=True))

    assert list(found) == ["pick", "full_size", "vary", "reroll", "more"]
    assert [Target.parse(option["value"]).index for option in found["pick"]["options"]] == [0, 1, 2, 3]


def test_without_a_name_the_requester_is_named_by_id():
    job = make_job(sink=address(channel="C1", user=USER))

    asked, _ = open_card(stage(job)).blocks[0]["elements"]

    assert asked["elements"][0] == {"type": "user", "user_id": USER}


@pytest.mark.parametrize(("mention", "count"), [(Mention.MENTION, 1), (Mention.QUIET, 0)])
def test_a_failure_mentions_the_requester_once_unless_the_bot_is_quiet(mention, count):
    card = final_card(done(Outcome.TIMED_OUT), with_image=True, mention=mention)

    assert json.dumps(card.blocks).count(USER) == count


def test_a_failure_tells_the_names_that_are_there():
    result = make_result(Outcome.UNKNOWN_MODEL, notes=("The nearest it has: stripes.",))

    assert "The nearest it has: stripes." in words(final_card(done(result=result), with_image=False))


def test_controls_carry_a_job_and_an_index_only():
    for message in (
        final_card(done(count=4), with_image=True),
        final_card(done(Outcome.TIMED_OUT), with_image=True),
    ):
        for element in controls(message).values():
            values = [element.get("value"), *(option["value"] for option in element.get("options", []))]
            assert all(Target.parse(value).value == value for value in values if value)


def test_a_final_card_names_what_the_demo_model_does_not_know():
    result = make_result(model="tiny", unknown_words=("zeppelin", "quark"))

    assert "tiny does not know: zeppelin, quark" in words(final_card(done(result=result), with_image=True))


def test_notes_about_the_line_stay_on_the_card():
    assert "—ar was read as --ar." in words(
        final_card(done(notes=("—ar was read as --ar.",)), with_image=True)
    )


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_every_failure_has_a_sentence_the_job_id_and_a_retry(outcome):
    job = done(outcome)

    card = final_card(job, with_image=True)

    assert len(words(card).split()) > 8
    assert job.id[:8] in words(card)
    assert controls(card)[Action.RETRY]["value"] == job.id


def test_an_undeliverable_picture_reads_as_a_failure():
    card = final_card(done(undelivered=Outcome.CANNOT_DELIVER), with_image=True)

    assert image_of(card) is None
    assert "/invite" in words(card)


def test_a_deleted_card_keeps_nothing_of_the_prompt():
    card = final_card(done(deleted_at=NOW), with_image=True)

    assert "fox" not in json.dumps([card.text, card.blocks])
    assert controls(card) == {}


typed = st.one_of(
    st.text(max_size=2000),
    st.sampled_from(
        ["<!channel> ", "<@U0000000002> ", "<https://x.test|y> ", '"', "\\", "漢", "😀", "é", "&amp;", "*_~`"]
    ).flatmap(lambda piece: st.integers(1, 2000).map(lambda count: piece * (count // len(piece)))),
)
cards = st.sampled_from(
    [
        lambda request: open_card(stage(announced(request=request, notes=(request.prompt,)))),
        lambda request: final_card(done(count=9, request=request, notes=(request.prompt,)), with_image=True),
        lambda request: final_card(done(request=request), with_image=False),
        lambda request: final_card(done(Outcome.TIMED_OUT, request=request), with_image=True),
    ]
)


@given(typed, cards)
def test_slack_accepts_the_card_of_any_prompt(prompt, card):
    message = card(make_request(prompt=prompt, negative_prompt=prompt, n=1))

    assert check_blocks(message.blocks, file_is_usable=lambda _: True) == []
    assert all(Block.parse(block).to_dict() for block in message.blocks)
    assert size(message.blocks) <= MAX_BLOCKS_JSON
    assert len(message.text) <= 4000
    assert json.dumps([message.text, message.blocks], ensure_ascii=False).encode()


@given(typed, cards)
def test_no_prompt_mentions_or_links_anything(prompt, card):
    message = card(make_request(prompt=prompt, negative_prompt=prompt, style=prompt, model=prompt))

    assert not re.search(r"<[^>]*>|<", message.text)
    assert _parsed_elements(message.blocks) <= {"user", "text"}
    assert "mrkdwn" not in _texts(message.blocks)


def _parsed_elements(blocks):
    """Kinds of rich_text elements; only `user` (the requester) may be anything but text."""
    return {
        element["type"]
        for block in blocks
        if block["type"] == "rich_text"
        for part in block["elements"]
        for element in part["elements"]
    }


def _texts(blocks):
    """Kinds of the text objects in all blocks."""
    found = []

    def look(part):
        if isinstance(part, dict):
            if part.get("type") in ("plain_text", "mrkdwn"):
                found.append(part["type"])
            for value in part.values():
                look(value)
        elif isinstance(part, list):
            for item in part:
                look(item)

    look(blocks)
    return found
