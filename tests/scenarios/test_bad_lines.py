"""Lines that cannot or must not be drawn: told where and why, with a line that works, and nothing charged."""

import itertools

import pytest

from bot.domain.job import Outcome
from tests.scenarios.stack import Stack


def refused(stack: Stack, line: str) -> str:
    """What the person is told; nothing was started."""
    before = [job.id for job in stack.bot.jobs()]
    stack.imagine(line)
    assert [job.id for job in stack.bot.jobs()] == before
    return stack.told()[-1]


@pytest.mark.parametrize("line", ["", "   ", "\u200b"])
def test_an_empty_line_gets_three_lines_that_work(stack: Stack, line: str):
    told = refused(stack, line)

    examples = [row for row in told.splitlines() if row.startswith("/imagine ") and "help" not in row]
    assert len(examples) == 3
    for number, example in enumerate(examples):
        stack.imagine(example.removeprefix("/imagine "))
        stack.card(number=number)


@pytest.mark.parametrize(
    ("line", "caret", "corrected"),
    [
        ("a red fox --stepz 9", "--stepz", "/imagine a red fox --steps 9"),
        ("a red fox --steps 9999", "9999", "/imagine a red fox --steps 150"),
        ("a red fox --steps many", "many", None),
        ("a red fox --ar 16x", "16x", None),
        ("a red fox --model swirls", "swirls", None),
    ],
)
def test_a_mistake_is_pointed_at_and_the_corrected_line_runs(make_stack, line, caret, corrected):
    stack = make_stack(settings={"IMAGINE_MODEL": "stripes"})
    stack.bot.open()
    told = refused(stack, line)

    text, arrows = next(
        pair for pair in itertools.pairwise(told.splitlines()) if set(pair[1].strip()) == {"^"}
    )
    assert text[arrows.index("^") : arrows.rindex("^") + 1] == caret
    lines = [row for row in told.splitlines() if row.startswith("/imagine ")]
    assert corrected is None or lines == [corrected]
    for works in lines:
        stack.imagine(works.removeprefix("/imagine "))
        stack.ended()
        assert stack.outcomes() == [Outcome.OK]


def test_a_phones_dashes_and_quotes_are_read_as_meant(stack: Stack):
    card = stack.draw("a fox saying “hello” \u2014seed 7 \u2013n 2")

    assert stack.engine.asked[0].seed == 7
    assert stack.engine.asked[0].batch_size == 2
    assert "“" not in card.words


def test_slacks_entities_are_undone_and_never_become_markup(stack: Stack):
    card = stack.draw("salt & pepper <b> *bold* :fox_face:")

    assert stack.engine.asked[0].prompt == "salt & pepper <b> *bold* :fox_face:"
    (image,) = [block for block in card.blocks if block["type"] == "image"]
    assert image["alt_text"] == "salt & pepper <b> *bold* :fox_face:"
    assert "&amp; pepper &lt;b&gt;" in card.text


def test_a_flag_without_effect_is_named_and_the_rest_is_drawn(stack: Stack):
    stack.imagine("a red fox --chaos 5")

    assert "--chaos" in stack.told()[-1]
    assert "--chaos" in stack.ended().words
    assert stack.engine.asked[0].prompt == "a red fox"


def test_a_spent_quota_names_the_numbers_and_starts_nothing(make_stack):
    stack = make_stack(settings={"IMAGINE_DAILY_GPU_SECONDS": "1"})
    stack.bot.open()
    for number in range(3):
        stack.draw(f"fox number {number}")

    told = refused(stack, "one fox too many")
    assert "of 1 s" in told
    assert "midnight UTC" in told
    assert len(stack.files(stack.draw("robin has time left", user="robin"))) == 1


def test_a_failed_drawing_leaves_the_quota_as_it_was(make_stack):
    stack = make_stack(settings={"IMAGINE_DAILY_GPU_SECONDS": "1"})
    stack.bot.open()
    stack.engine.fail_next(*(RuntimeError("out of order") for _ in range(2)))
    for number in range(5):
        stack.draw(f"fox number {number}")

    assert stack.outcomes() == [Outcome.ENGINE_FAILED] * 2 + [Outcome.OK] * 3


def test_a_spent_month_is_told_on_the_card(make_stack):
    stack = make_stack(settings={"IMAGINE_MONTH_GPU_SECONDS": "1"})
    stack.bot.open()
    for number in range(3):
        stack.draw(f"fox number {number}")

    card = stack.draw("one fox too many")
    assert "budget is spent" in card.words
    assert stack.outcomes()[-1] is Outcome.BUDGET_SPENT
    assert stack.bot.gpu_time_used() == 3 * stack.bot.jobs()[0].cost


def test_a_blocked_phrase_is_refused_by_name_however_it_is_written(make_stack, tmp_path):
    (tmp_path / "phrases").write_text("secret project\n", encoding="utf-8")
    stack = make_stack(settings={"IMAGINE_BLOCKED_PHRASES": str(tmp_path / "phrases")})
    stack.bot.open()

    assert "secret project" in refused(stack, "a poster for the Ｓｅｃｒｅｔ  PROJECT")
    assert "secret project" in refused(stack, "a fox --no secret project")
    assert stack.cards() == []


def test_the_same_line_again_within_seconds_is_one_job(stack: Stack):
    stack.imagine("a red fox")
    stack.imagine("a red fox")

    assert "runs already" in stack.told()[-1]
    stack.ended()
    assert len(stack.bot.jobs()) == 1
    assert len(stack.cards()) == 1


def test_the_same_line_in_another_channel_is_another_job(stack: Stack):
    stack.imagine("a red fox")
    stack.imagine("a red fox", channel="general")

    assert len(stack.files(stack.ended(channel="general"), channel="general")) == 1
    assert len(stack.bot.jobs()) == 2


def test_a_text_that_is_too_long_is_refused_with_its_length(stack: Stack):
    told = refused(stack, "fox " * 600)

    assert "2399 characters; 2000 is the limit" in told


def test_the_longest_text_fits_the_card(stack: Stack):
    card = stack.draw(("fox <&> " * 250)[:1990])

    assert stack.outcomes() == [Outcome.OK]
    assert len(stack.files(card)) == 1
    assert any(block["type"] == "image" for block in card.blocks)
