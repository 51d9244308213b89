"""`/imagine …`: what a line starts and what its sender alone is told."""

import dataclasses

import pytest

from bot.ports import Page, Warmth
from bot.services.core import Policy
from tests.unit.slack.world import ROBIN, TEAM, TIMES, YOU, World


def told(world, line, *, user="you", channel="pictures"):
    """The ephemeral answer to a line, None when there is none."""
    before = len(world.slack.ephemerals(user))
    assert world.slack.command(line, user=user, channel=channel).ok
    answers = world.slack.ephemerals(user)[before:]
    assert len(answers) <= 1
    return answers[0].words if answers else None


def test_a_line_becomes_a_durable_job_before_the_ack_and_nothing_is_said(world):
    assert told(world, "/imagine a red fox --n 2 --seed 7") is None

    (job,) = world.jobs()
    assert (job.tenant, job.person) == (TEAM, YOU)
    assert (job.request.prompt, job.request.n, job.request.seed) == ("a red fox", 2, 7)
    assert job.sink.parts["channel_id"] == "C0000000001"


def test_slacks_entities_and_a_phones_dashes_are_undone(world):
    told(world, "/imagine salt & pepper —seed 5")

    (job,) = world.jobs()
    assert (job.request.prompt, job.request.seed) == ("salt & pepper", 5)


def test_what_was_fixed_in_a_line_is_said(world):
    assert "--seed" in told(world, "/imagine a fox —seed 5")


def test_an_empty_line_shows_three_lines_that_work(world):
    shown = told(world, "/imagine ")

    examples = [
        line.removeprefix("/imagine ") for line in shown.splitlines() if line.startswith("/imagine a")
    ]
    assert len(examples) == 3
    for example in examples:
        assert told(world, f"/imagine {example}") is None
    assert len(world.jobs()) == 3


def test_a_mistake_is_shown_with_carets_and_a_line_that_works(world):
    shown = told(world, "/imagine a fox --stylze 20")

    assert "^^^^^^^^" in shown
    corrected = shown.splitlines()[-1]
    assert corrected == "/imagine a fox --stylize 20"
    assert world.jobs() == ()


def test_the_same_line_twice_is_one_job(world):
    told(world, "/imagine a red fox")

    assert "runs already" in told(world, "/imagine a red fox")
    assert len(world.jobs()) == 1


def test_a_spent_quota_says_how_much_is_left_and_when_it_comes_back():
    policy = dataclasses.replace(Policy(times=TIMES), daily_limit=1000)
    with World(policy=policy) as world:
        shown = told(world, "/imagine a red fox --steps 50")

    assert "of 1 s" in shown
    assert "midnight UTC" in shown


def test_a_forbidden_phrase_is_refused_by_name(world):
    assert "forbidden thing" in told(world, "/imagine a forbidden thing")
    assert world.jobs() == ()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("/imagine help", "a red apple"),
        ("/imagine help flags", "--steps"),
        ("/imagine styles", "--style oil"),
        ("/imagine styles --search water", "--style watercolor"),
        ("/imagine styles --search zzz", 'Nothing fits "zzz".'),
        ("/imagine models", "model"),
        ("/imagine loras", "LoRA"),
    ],
)
def test_help_and_lists_come_from_the_catalogue(world, line, word):
    assert word in told(world, line)


def test_info_shows_the_day_the_endpoint_and_open_jobs(world):
    world.endpoint.warmth = Warmth.ASLEEP
    told(world, "/imagine a red fox")

    shown = told(world, "/imagine info")

    assert "of 60 min" in shown
    assert "asleep" in shown
    assert world.jobs()[0].id[:8] in shown


def test_a_job_is_shown_again_with_live_controls(world):
    world.run("/imagine a red fox")
    (job,) = world.jobs()

    assert world.slack.command(f"/imagine show {job.id}").ok

    shown = world.slack.ephemerals()[-1]
    assert "a red fox" in shown.words
    assert set(shown.controls) == {"vary", "reroll", "more"}
    assert world.slack.click(shown, "reroll").ok
    assert len(world.jobs()) == 2


def test_an_open_job_is_shown_as_it_stands(world):
    told(world, "/imagine a red fox")
    (job,) = world.jobs()

    assert "It is next." in told(world, f"/imagine show {job.id}")


def test_a_word_that_is_the_beginning_of_a_job_id_is_that_job(world):
    world.run("/imagine a red fox")
    (job,) = world.jobs()
    letters = dataclasses.replace(job, id="castle" + "a" * 20)
    world.core.jobs.query = lambda *_args, **_kwargs: Page(jobs=(letters,), cursor=None)

    assert "asked for" in told(world, "/imagine show castle")


def test_a_link_to_the_card_names_its_job(world):
    card = world.run("/imagine a red fox")
    link = f"https://local.slack.com/archives/C0000000001/p{card.ts.replace('.', '')}"

    assert "a red fox" in told(world, f"/imagine show {link}")
    assert "too late to cancel" in told(world, f"/imagine cancel {link}?thread_ts=1.2")
    assert "There is no job" in told(world, f"/imagine show {link[:-16]}1000000000000000")


def test_an_unknown_job_is_no_such_job(world):
    assert "There is no job" in told(world, f"/imagine show {'a' * 26}")


def test_what_could_be_a_job_or_a_prompt_is_asked_back(world):
    shown = told(world, "/imagine show 12g4")

    as_job, as_prompt = shown.splitlines()[-2:]
    assert as_prompt == '/imagine "show 12g4"'
    assert world.jobs() == ()
    assert "There is no job" in told(world, as_job)
    assert told(world, as_prompt) is None
    assert len(world.jobs()) == 1


def test_cancel_ends_the_open_jobs(world):
    told(world, "/imagine a red fox")
    world.work()

    assert told(world, "/imagine cancel all") == "Cancelled."
    world.work()
    assert "Cancelled." in world.slack.messages()[0].words


def test_several_cancelled_jobs_are_counted(world):
    told(world, "/imagine a red fox")
    told(world, "/imagine a blue fox")

    assert told(world, "/imagine cancel all") == "Cancelled 2 jobs."


def test_nothing_to_cancel_says_so(world):
    assert "nothing to cancel" in told(world, "/imagine cancel all")


def test_somebody_elses_job_is_not_cancelled(world):
    told(world, "/imagine a red fox", user="robin")
    world.work()
    (job,) = world.jobs(ROBIN)

    assert "Only the person who asked" in told(world, f"/imagine cancel {job.id}")
    assert world.jobs(ROBIN)[0].result is None


@pytest.mark.parametrize("line", ["status", "pause", "resume", "queue"])
def test_admin_commands_are_for_admins(world, line):
    assert "Only admins" in told(world, f"/imagine admin {line}")


def test_admins_see_how_things_stand(world):
    told(world, "/imagine a red fox")

    shown = told(world, "/imagine admin status", user="robin")

    assert "Endpoint hand: awake" in shown
    assert "places taken" in shown
    assert "Not paused." in shown


def test_the_queue_shows_jobs_without_anybodys_words(world):
    assert told(world, "/imagine admin queue", user="robin") == "No job is open."
    told(world, "/imagine a red fox")

    shown = told(world, "/imagine admin queue", user="robin")

    assert world.jobs()[0].id[:8] in shown
    assert "fox" not in shown


def test_a_pause_gives_its_reason_until_it_ends(world):
    assert "GPU day off" in told(world, '/imagine admin pause "GPU day off"', user="robin")

    assert "GPU day off" in told(world, "/imagine a red fox")
    assert "GPU day off" in told(world, "/imagine info")
    assert "goes on" in told(world, "/imagine admin resume", user="robin")
    assert told(world, "/imagine a red fox") is None


def test_admin_alone_lists_its_words(world):
    assert "status, doctor" in told(world, "/imagine admin", user="robin")


def test_a_defect_is_answered_and_reported_without_words(world):
    def explode(*_args, **_kwargs):
        raise RuntimeError("a secret prompt")

    world.core.jobs.create = explode

    assert "went wrong on our side" in told(world, "/imagine a red fox")
    assert ("slack_door_error", {"error": "RuntimeError"}) in world.journal.events


def test_a_picture_that_was_deleted_from_the_store_is_said(world):
    card = world.run("/imagine a red fox --n 2")
    for picture in world.jobs()[0].result.pictures:
        world.objects.delete(picture.key)

    assert world.slack.click(card, "full_size").ok
    assert "not there any more" in world.slack.ephemerals()[-1].words
