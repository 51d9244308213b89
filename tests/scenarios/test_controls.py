"""Every control on a card, pressed by its owner, by others, twice, and long after the card has changed."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from bot.domain.job import Outcome, output_key
from tests.scenarios.stack import ROBIN, YOU, Stack, face, holds, option

OTHERS_ID = "a" * 26


def press_more(stack: Stack, card, entry: str, *, user: str = "you") -> None:
    stack.choose(card, "more", entry, user=user)


def delete(stack: Stack, card, *, user: str = "you") -> None:
    """Ask for it and say yes."""
    press_more(stack, card, "Delete", user=user)
    stack.press(stack.slack.ephemerals(user)[-1], "delete", user=user)


def until_gone(stack: Stack) -> None:
    """Wait until the deleted job's files and originals are gone."""
    stack.until(lambda: stack.bot.jobs()[0].removed_at)


def drawn_cards(stack: Stack, card):
    """The finished cards in a card's thread."""
    return [reply for reply in stack.replies(card) if "reroll" in reply.controls]


def with_value(card, control: str, value: str):
    """The card as somebody's browser may still show it, with another value behind the control."""

    def changed(element: Any) -> Any:
        if isinstance(element, dict):
            inner = {name: changed(part) for name, part in element.items()}
            return {**inner, "value": value} if element.get("action_id") == control else inner
        return [changed(part) for part in element] if isinstance(element, list) else element

    return dataclasses.replace(card, blocks=changed(card.blocks))


@pytest.mark.parametrize("number", [1, 4])
def test_full_size_posts_the_chosen_original_into_the_thread(stack: Stack, number: int):
    card = stack.draw("a red fox --n 4")
    stack.press(card, "full_size", pick=option(card, "pick", f"Picture {number}"))

    file = stack.until(lambda: stack.files(card)[1:])[0]
    assert np.array_equal(stack.file_pixels(file), stack.engine.drawn[0].images[number - 1])


def test_without_a_choice_full_size_is_the_first_picture(stack: Stack):
    card = stack.draw("a red fox --n 2")
    stack.press(card, "full_size")

    file = stack.until(lambda: stack.files(card)[1:])[0]
    assert np.array_equal(stack.file_pixels(file), stack.engine.drawn[0].images[0])


def test_full_size_pressed_again_posts_nothing_and_says_where_it_is(stack: Stack):
    card = stack.draw("a red fox --n 2")
    stack.press(card, "full_size")
    stack.until(lambda: stack.bot.jobs()[0].originals_shown)
    for user in ("you", "robin"):
        stack.press(card, "full_size", user=user)

    assert len(stack.files(card)) == 2
    assert "Picture 1 is in the thread already." in stack.told("you")[-1]
    assert "Picture 1 is in the thread already." in stack.told("robin")[-1]


def test_a_double_click_on_full_size_posts_one_picture(stack: Stack):
    card = stack.draw("a red fox --n 2")
    for _ in range(2):
        stack.press(card, "full_size")
    stack.until(lambda: stack.bot.jobs()[0].originals_shown)

    assert len(stack.files(card)) == 2
    assert "Picture 1 is" in stack.told()[-1]


def test_two_pictures_asked_for_at_once_both_come(stack: Stack):
    card = stack.draw("a red fox --n 4")
    for number in (3, 2):
        stack.press(card, "full_size", pick=option(card, "pick", f"Picture {number}"))

    stack.until(lambda: len(stack.files(card)) == 3)
    shown = [stack.file_pixels(file) for file in stack.files(card)[1:]]
    asked = [stack.engine.drawn[0].images[index] for index in (2, 1)]
    assert all(np.array_equal(*pair) for pair in zip(shown, asked, strict=True))


def test_choosing_a_picture_changes_nothing_by_itself(stack: Stack):
    card = stack.draw("a red fox --n 2")
    stack.choose(card, "pick", "Picture 2")

    stack.until(lambda: face(stack.cards()[0]) == face(card))
    assert len(stack.files(card)) == 1
    assert stack.told() == []


def test_vary_draws_near_the_chosen_picture_in_the_same_thread(stack: Stack):
    card = stack.draw("a red fox --n 2 --seed 7")
    stack.press(card, "vary", pick=option(card, "pick", "Picture 2"))
    stack.until(lambda: drawn_cards(stack, card))

    asked = stack.engine.asked[-1]
    assert (asked.prompt, asked.seed, asked.subseed_strength > 0) == ("a red fox", 8, True)
    sheet = stack.file_pixels(stack.files(card)[-1])
    assert all(holds(sheet, image) for image in stack.engine.drawn[-1].images)
    assert len(stack.cards()) == 1


def test_reroll_draws_the_same_line_with_another_seed(stack: Stack):
    card = stack.draw("a red fox --seed 7")
    stack.press(card, "reroll")
    stack.until(lambda: drawn_cards(stack, card))

    assert [request.prompt for request in stack.engine.asked] == ["a red fox"] * 2
    assert stack.engine.asked[1].seed != 7
    assert len(stack.files(card)) == 2
    assert len(stack.cards()) == 1


def test_a_reroll_by_somebody_else_is_theirs(stack: Stack):
    card = stack.draw("a red fox")
    stack.press(card, "reroll", user="robin")
    stack.until(lambda: drawn_cards(stack, card))

    assert stack.outcomes(ROBIN) == [Outcome.OK]
    assert f"<@{ROBIN}>" in stack.replies(card)[-1].text
    assert stack.bot.gpu_time_used(ROBIN) == stack.bot.jobs(ROBIN)[0].cost


@pytest.mark.parametrize("control", ["vary", "reroll"])
def test_a_double_click_is_one_job(stack: Stack, control: str):
    card = stack.draw("a red fox")
    for _ in range(2):
        stack.press(card, control)
    stack.until(lambda: drawn_cards(stack, card))

    assert len(stack.bot.jobs()) == 2
    assert "runs already" in stack.told()[-1]


def test_controls_of_a_card_in_the_thread_stay_in_the_thread(stack: Stack):
    card = stack.draw("a red fox")
    stack.press(card, "reroll")
    (second,) = stack.until(lambda: drawn_cards(stack, card))
    stack.press(second, "reroll")

    stack.until(lambda: len(drawn_cards(stack, card)) == 2)
    assert len(stack.files(card)) == 3
    assert len(stack.cards()) == 1


def test_details_give_the_presser_a_line_that_draws_the_same_again(stack: Stack):
    card = stack.draw("a red fox --ar 16:9 --seed 7 --no trees")
    press_more(stack, card, "Details", user="robin")

    line = stack.told("robin")[-1].splitlines()[0]
    assert line.startswith("/imagine a red fox")
    stack.imagine(line.removeprefix("/imagine "), user="robin")
    again = stack.ended(number=1)
    first, second = (stack.file_pixels(stack.files(shown)[0]) for shown in (card, again))
    assert np.array_equal(first, second)


def test_delete_asks_first(stack: Stack):
    card = stack.draw("a red fox")
    press_more(stack, card, "Delete")

    assert "for everyone?" in stack.told()[-1]
    assert len(stack.files(card)) == 1


def test_delete_takes_card_files_and_originals_away(stack: Stack):
    card = stack.draw("a red fox --n 2")
    (job,) = stack.bot.jobs()
    assert job.result is not None
    keys = [picture.key for picture in job.result.pictures]
    stack.press(card, "full_size")
    stack.until(lambda: len(stack.files(card)) == 2)
    delete(stack, card)
    until_gone(stack)

    (gone,) = stack.cards()
    assert gone.words == "This picture was deleted."
    assert gone.controls == {}
    assert stack.files(card) == []
    assert [stack.bot.object_bytes(key) for key in (*keys, output_key(job))] == [None] * 3
    assert stack.outcomes() == [Outcome.OK]


@pytest.mark.parametrize("method", ["files.delete", "chat.update"])
def test_a_delete_that_slack_answers_badly_gets_there_in_the_end(stack: Stack, method: str):
    card = stack.draw("a red fox")
    stack.until(lambda: stack.bot.jobs()[0].audited_at)
    stack.slack.faults.server_error(method)
    delete(stack, card)
    until_gone(stack)

    assert stack.cards()[0].words == "This picture was deleted."
    assert stack.files(card) == []


def test_nobody_deletes_somebody_elses_pictures(stack: Stack):
    card = stack.draw("a red fox", user="robin")
    press_more(stack, card, "Delete", user="you")

    assert "Only the person who asked" in stack.told("you")[-1]
    assert len(stack.files(card)) == 1


def test_an_admin_deletes_anybodys_pictures(stack: Stack):
    card = stack.draw("a red fox", user="you")
    delete(stack, card, user="robin")
    until_gone(stack)

    assert stack.cards()[0].words == "This picture was deleted."
    assert stack.files(card) == []


@pytest.mark.parametrize("control", ["full_size", "vary"])
def test_a_control_of_an_old_snapshot_after_delete_is_told_so(stack: Stack, control: str):
    card = stack.draw("a red fox --n 2")
    delete(stack, card)
    until_gone(stack)
    stack.press(card, control)

    assert "was deleted" in stack.told()[-1]
    assert len(stack.bot.jobs()) == 1
    assert stack.files(card) == []


def test_cancel_of_an_old_snapshot_after_the_end_is_told_so(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox")
    old = stack.card()
    stack.engine.release()
    card = stack.ended()
    stack.press(old, "cancel")

    assert "too late to cancel" in stack.told()[-1]
    assert stack.outcomes() == [Outcome.OK]
    stack.until(lambda: face(stack.cards()[0]) == face(card))


@pytest.mark.parametrize("control", ["full_size", "vary", "reroll"])
@pytest.mark.parametrize("value", [OTHERS_ID, f"{OTHERS_ID}.0"])
def test_a_control_with_a_job_nobody_knows_does_nothing(stack: Stack, control: str, value: str):
    card = stack.draw("a red fox --n 2")
    stack.press(with_value(card, control, value), control)

    assert "There is no job" in stack.told()[-1]
    assert len(stack.bot.jobs()) == 1


def test_a_control_that_was_never_ours_does_nothing(stack: Stack):
    card = stack.draw("a red fox --n 2")
    stack.press(with_value(card, "reroll", "../../etc"), "reroll")

    assert "another version" in stack.told()[-1]
    assert len(stack.bot.jobs()) == 1


def test_a_picture_number_beyond_the_pictures_is_refused(stack: Stack):
    card = stack.draw("a red fox")
    (job,) = stack.bot.jobs()
    stack.press(with_value(card, "vary", f"{job.id}.9"), "vary")

    assert "not there" in stack.told()[-1]
    assert len(stack.bot.jobs(YOU)) == 1


def test_controls_work_after_a_restart(stack: Stack):
    card = stack.draw("a red fox --n 2")
    stack.kill_and_restart()
    stack.press(card, "full_size")
    stack.until(lambda: len(stack.files(card)) == 2)
    stack.press(card, "reroll")

    stack.until(lambda: drawn_cards(stack, card))
    first = stack.originals(stack.bot.jobs()[0])[0]
    assert np.array_equal(stack.file_pixels(stack.files(card)[1]), first)
