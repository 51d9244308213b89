"""`/imagine …`: what a line starts and what its sender alone is told."""

import dataclasses

import pytest

from bot.domain.errors import Rejected
from bot.domain.prompt.catalogue import Kind, ModelFile, Release
from bot.domain.prompt.release_file import shared
from bot.domain.steering import Command
from bot.ports import Page, Warmth
from bot.services import steering
from bot.services.core import Caller, Policy
from bot.services.settings import CATALOGUE, change
from tests.aws.desks import Orders
from tests.unit.slack.world import ROBIN, TEAM, TIMES, YOU, World


@pytest.fixture
def steered():
    """A world whose endpoint an admin function steers, with the orders it would get."""
    orders = Orders()
    with World(steering=orders) as steered:
        yield steered, orders


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


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "pause",
        "resume",
        "queue",
        "wake",
        "wake --yes",
        "sleep --yes",
        "warm 30m",
        "schedule off",
        "purge",
        "purge --yes",
        "models",
        "doctor",
    ],
)
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


@pytest.mark.parametrize("line", ["wake", "wake --yes", "sleep", "warm 30m --yes", "schedule off"])
def test_on_one_machine_there_is_nothing_to_wake(world, line):
    shown = told(world, f"/imagine admin {line}", user="robin")

    assert "this machine's own server" in shown


def test_a_price_comes_before_what_costs_with_the_line_that_does_it(steered):
    world, orders = steered
    shown = told(world, "/imagine admin warm 30m", user="robin")
    assert "about $0.76" in shown
    assert orders.given == []

    line = shown.splitlines()[-1]
    assert line == "/imagine admin warm 30m --yes"
    assert "Handed to the admin function" in told(world, line, user="robin")
    (order,) = orders.given
    assert (order.command, order.words, order.by, order.tenant) == ("warm", "30m", ROBIN, TEAM)
    assert order.response_url.startswith("http")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("wake", "about $0.51"),
        ("sleep", "drawing under way is lost"),
        ("schedule 'mon-fri 09:00-18:00 Europe/Berlin'", "about $297.21"),
        ("purge", "waits is cancelled"),
    ],
)
def test_what_costs_or_loses_is_asked_first(steered, line, word):
    world, orders = steered
    shown = told(world, f"/imagine admin {line}", user="robin")
    assert word in shown
    assert orders.given == []
    told(world, shown.splitlines()[-1], user="robin")
    assert len(orders.given) == 1


def test_every_order_is_in_the_journal_with_who_gave_it(steered):
    world, _ = steered
    told(world, "/imagine admin wake --yes", user="robin")
    asked = {"command": "wake", "tenant": TEAM, "by": ROBIN}
    assert ("admin_asked", asked) in world.journal.events
    assert "response_url" not in repr(world.journal.events)


def test_slacks_repetition_of_a_line_is_the_same_order(steered):
    world, orders = steered
    caller = Caller(tenant=TEAM, user=ROBIN, is_admin=True)
    for _ in range(2):
        steering.give(world.core, caller, Command.SLEEP, words="", source_key="admin:1.2.3", response_url="")
    first, second = orders.given
    assert first.id == second.id


def test_hours_that_make_no_sense_are_answered_with_a_line_that_works(steered):
    world, orders = steered
    assert "mon-fri 09:00-18:00" in told(world, "/imagine admin schedule", user="robin")
    assert "no weekday" in told(world, '/imagine admin schedule "xyz 09:00-18:00 UTC" --yes', user="robin")
    assert "1m to 12h" in told(world, "/imagine admin warm 20h", user="robin")
    assert orders.given == []


def test_a_function_that_cannot_be_reached_is_said_with_the_fix(steered):
    world, orders = steered
    orders.error = Rejected("ResourceNotFoundException")
    assert "npx osls deploy" in told(world, "/imagine admin wake --yes", user="robin")
    shown = told(world, "/imagine admin doctor", user="robin")
    assert "not paused" in shown
    assert "BAD" in shown
    assert "npx osls deploy" in shown


def test_doctor_tells_what_is_seen_from_here_and_asks_for_the_rest(steered):
    world, orders = steered
    shown = told(world, "/imagine admin doctor", user="robin")
    assert "nobody has looked at the endpoint yet" in shown
    assert "follow from the admin function" in shown
    assert [order.command for order in orders.given] == [Command.DOCTOR]


def test_doctor_on_one_machine_needs_nobody(world):
    told(world, '/imagine admin pause "moving"', user="robin")
    shown = told(world, "/imagine admin doctor", user="robin")
    assert "ok    Endpoint hand: awake" in shown
    assert "BAD   drawing is paused: moving. Fix: /imagine admin resume" in shown
    assert "admin function" not in shown


def test_purge_on_one_machine_ends_what_waits(world):
    told(world, "/imagine a red fox")
    assert "/imagine admin purge --yes" in told(world, "/imagine admin purge", user="robin")
    assert world.jobs()[0].result is None

    assert "Waiting jobs cancelled: 1." in told(world, "/imagine admin purge --yes", user="robin")
    world.work()
    (card,) = world.slack.messages()
    assert "An admin cancelled every waiting job." in card.words
    assert "retry" in card.controls


def test_models_say_what_is_live_and_what_an_update_brings(world):
    files = (
        ModelFile(kind=Kind.MODEL, name="stripes", alias="st", architecture="sdxl", non_commercial=True),
        ModelFile(kind=Kind.LORA, name="ink", disabled=True),
    )
    release = shared(Release(files=files, name="2026-11-01"), newer="2026-11-20")
    change(world.core.cells, CATALOGUE, lambda _: release)
    world.core.bulletin.forget()

    shown = told(world, "/imagine admin models", user="robin")

    assert "Live: demo." in shown
    assert "Release 2026-11-01 is live." in shown
    assert "Release 2026-11-20 is published. It is drawn with from the next update" in shown
    assert "model stripes (st), sdxl, not for commercial use" in shown
    assert "lora ink, switched off" in shown


def test_models_say_so_where_no_release_is_known(world):
    assert "No release is known" in told(world, "/imagine admin models", user="robin")


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
