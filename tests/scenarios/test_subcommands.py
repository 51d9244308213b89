"""What the words after /imagine do when they are no prompt."""

import pytest

from bot.domain.job import Outcome
from tests.scenarios.stack import Stack


def said(stack: Stack, line: str, *, user: str = "you") -> str:
    """What the person is told at once."""
    before = len(stack.told(user))
    stack.imagine(line, user=user)
    told = stack.told(user)[before:]
    assert len(told) == 1
    return told[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("help", ["a red apple", "--ar"]),
        ("help flags", ["--seed", "--steps"]),
        ("help syntax", ["(word)", "BREAK"]),
        ("styles", ["--style watercolor"]),
        ("models", ["model"]),
    ],
)
def test_help_and_lists_are_for_the_asker_alone(stack: Stack, line: str, words: list[str]):
    told = said(stack, line)

    assert all(word in told for word in words)
    assert stack.cards() == []


def test_models_lists_what_the_settings_name_and_the_endpoint_has(make_stack):
    stack = make_stack(settings={"IMAGINE_MODEL": "stripes,dots"})
    stack.bot.open()

    stack.until(lambda: "--model dots" not in said(stack, "models"))
    assert "--model stripes" in said(stack, "models")


def test_info_tells_ones_own_day_and_open_jobs(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox")
    stack.card()
    (job,) = stack.bot.jobs()

    stack.until(lambda: "awake" in said(stack, "info"))
    told = said(stack, "info")
    assert "of 60 min" in told
    assert job.id[:8] in told
    assert job.id[:8] not in said(stack, "info", user="robin")
    stack.engine.release()
    stack.ended()
    assert "no open jobs" in said(stack, "info")


def test_show_brings_the_card_back_with_controls_that_work(stack: Stack):
    stack.draw("a red fox")
    (job,) = stack.bot.jobs()

    assert "a red fox" in said(stack, f"show {job.id}")
    assert "a red fox" in said(stack, f"show {job.id}", user="robin")
    shown = stack.slack.ephemerals()[-1]
    stack.press(shown, "reroll")
    stack.until(lambda: stack.outcomes() == [Outcome.OK] * 2)


def test_an_unknown_job_id_is_told(stack: Stack):
    assert "There is no job" in said(stack, f"show {'a' * 26}")
    assert "There is no job" in said(stack, f"cancel {'a' * 26}")
    assert "nothing to cancel" in said(stack, "cancel")


def test_nobody_cancels_somebody_elses_job_by_its_id(stack: Stack):
    stack.engine.hold()
    stack.imagine("a red fox", user="robin")
    stack.card()
    (job,) = stack.bot.jobs("U0000000002")

    assert "Only the person who asked" in said(stack, f"cancel {job.id}")
    stack.engine.release()
    assert len(stack.files(stack.ended())) == 1


@pytest.mark.parametrize("words", ["status", 'pause "lunch"', "resume", "queue"])
def test_admin_commands_are_refused_politely_to_everybody_else(stack: Stack, words: str):
    assert "Only admins can do that" in said(stack, f"admin {words}")
    assert len(stack.files(stack.draw("a red fox"))) == 1


def test_an_admin_sees_the_endpoint_and_the_queue(stack: Stack):
    stack.engine.hold()
    stack.imagine("a secret fox")
    stack.until(lambda: stack.engine.asked)
    (job,) = stack.bot.jobs()

    status = said(stack, "admin status", user="robin")
    assert "1 of 3 places taken" in status
    assert "Not paused." in status
    queue = said(stack, "admin queue", user="robin")
    assert job.id[:8] in queue
    assert "fox" not in queue
    stack.engine.release()
    stack.ended()
    assert "No job is open." in said(stack, "admin queue", user="robin")


def test_while_paused_new_lines_get_the_reason_and_nothing_is_charged(stack: Stack):
    assert "GPU day off" in said(stack, 'admin pause "GPU day off"', user="robin")

    assert "GPU day off" in said(stack, "a red fox")
    assert stack.bot.jobs() == []
    assert stack.bot.gpu_time_used() == 0
    said(stack, "admin resume", user="robin")
    assert len(stack.files(stack.draw("a red fox"))) == 1


def test_a_pause_holds_waiting_jobs_until_it_ends(make_stack):
    stack = make_stack(settings={"IMAGINE_WINDOW": "1"})
    stack.bot.open()
    stack.engine.hold()
    stack.imagine("a red fox")
    stack.until(lambda: stack.engine.asked)
    stack.imagine("a blue fox")
    stack.card(number=1)
    said(stack, "admin pause", user="robin")
    stack.engine.release()
    stack.ended(number=0)
    assert [request.prompt for request in stack.engine.asked] == ["a red fox"]

    said(stack, "admin resume", user="robin")
    stack.ended(number=1)
    assert stack.outcomes() == [Outcome.OK] * 2


def test_a_restart_keeps_the_pause(stack: Stack):
    said(stack, 'admin pause "moving"', user="robin")
    stack.kill_and_restart()

    assert "moving" in said(stack, "a red fox")
