"""From a typed line to pictures in a thread."""

import numpy as np
import pytest

from bot.domain.job import Outcome
from tests.scenarios.stack import YOU, Stack, holds, option


def test_one_picture_arrives_in_the_thread_as_the_engine_drew_it(stack: Stack):
    card = stack.draw("a red fox --seed 7")

    (drawing,) = stack.engine.drawn
    (file,) = stack.files(card)
    assert np.array_equal(stack.file_pixels(file), drawing.images[0])
    assert stack.outcomes() == [Outcome.OK]


def test_four_pictures_are_one_sheet_in_the_thread_and_four_originals_in_the_store(stack: Stack):
    card = stack.draw("a red fox --n 4 --seed 7")

    (drawing,) = stack.engine.drawn
    (sheet,) = stack.files(card)
    (job,) = stack.bot.jobs()
    assert all(np.array_equal(*pair) for pair in zip(stack.originals(job), drawing.images, strict=True))
    assert all(holds(stack.file_pixels(sheet), image) for image in drawing.images)
    assert not holds(stack.file_pixels(sheet), 255 - drawing.images[0])


def test_the_card_shows_the_picture_with_the_prompt_as_its_alt_text(stack: Stack):
    card = stack.draw("a red fox in the snow")

    (image,) = [block for block in card.blocks if block["type"] == "image"]
    (file,) = stack.files(card)
    assert image["slack_file"]["id"] == file["id"]
    assert image["alt_text"] == "a red fox in the snow"
    assert len(stack.cards()) == 1


def test_a_card_for_several_offers_each_of_them(stack: Stack):
    card = stack.draw("a red fox --n 3")

    assert [option(card, "pick", f"Picture {number}")[-1] for number in (1, 2, 3)] == ["0", "1", "2"]
    assert {"full_size", "vary", "reroll", "more"} <= card.controls.keys()


def test_the_requester_is_mentioned_once_and_only_with_the_pictures(stack: Stack):
    card = stack.draw("a red fox")

    (reply,) = stack.replies(card)
    assert reply.text.count(f"<@{YOU}>") == 1
    assert "<@" not in card.text


def test_in_quiet_workspaces_nobody_is_mentioned(make_stack):
    stack = make_stack(settings={"IMAGINE_MENTION": "quiet"})
    stack.bot.open()
    card = stack.draw("a red fox")

    assert "<@" not in stack.replies(card)[0].text


@pytest.mark.parametrize(
    ("line", "label"), [("A red fox, in the snow!", "1"), ("A red fox, in the snow! --n 2", "1-2")]
)
def test_files_are_named_by_prompt_job_and_picture(stack: Stack, line: str, label: str):
    card = stack.draw(line)

    (job,) = stack.bot.jobs()
    (file,) = stack.files(card)
    assert file["name"] == f"a-red-fox-in-the-snow-{job.id[:8]}-{label}.png"
    assert file["title"] == "A red fox, in the snow!"


def test_a_line_that_runs_as_it_is_gets_a_silent_ack(stack: Stack):
    delivered = stack.imagine("a red fox")

    assert delivered.body == {}
    stack.ended()
    assert stack.told() == []


def test_neither_words_nor_secrets_reach_the_log(stack: Stack):
    stack.draw("a vermilion pangolin --n 2")

    assert "resolved" in stack.bot.log
    for word in ("vermilion", "pangolin", stack.slack.bot_token, stack.slack.signing_secret, "/commands/"):
        assert word not in stack.bot.log


def test_the_same_seed_draws_the_same_picture_again(stack: Stack):
    first = stack.draw("a red fox --seed 7")
    second = stack.draw("a  red fox --seed 7")

    one, two = (stack.file_pixels(stack.files(card)[0]) for card in (first, second))
    assert np.array_equal(one, two)


@pytest.mark.only("one_machine")
def test_over_socket_mode_it_is_the_same(make_stack):
    stack = make_stack(over_socket=True)
    stack.bot.open()
    card = stack.draw("a red fox --n 2")

    (file,) = stack.files(card)
    assert all(holds(stack.file_pixels(file), image) for image in stack.engine.drawn[0].images)
    stack.press(card, "full_size")
    stack.until(lambda: len(stack.files(card)) == 2)


def test_the_drawing_time_is_held_while_it_draws_and_spent_once_it_is_there(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox")
    (job,) = stack.until(stack.bot.jobs)
    assert stack.bot.gpu_time_used() == job.cost
    stack.until(stack.bot.in_flight)
    stack.engine.release()
    stack.ended()

    assert stack.bot.gpu_time_used() == job.cost
    assert stack.bot.in_flight() == 0
