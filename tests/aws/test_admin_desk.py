"""The admin function: it checks everything again, does an order once and says what came of it."""

import pytest

from bot.domain.errors import Ambiguous, Busy, Rejected, Unavailable
from bot.domain.job import Outcome
from bot.domain.steering import LONGEST_AGE, OURSELVES, Command
from bot.domain.times import HOUR
from bot.functions.admin_desk import ORDERS, REMEMBERED
from bot.functions.attempts import HandlerFailed
from bot.ports import Warmth
from tests.aws.desks import ADDRESS, FAILURES, PASSING, Service
from tests.aws.functions import ROBIN, TENANT, YOU, accepted, records, with_time


@pytest.fixture
def service():
    return Service()


def test_an_admin_pauses_and_resumes_with_their_name_in_the_journal(service):
    assert service.ask("pause", words="budget") == {"done": "pause"}
    assert service.core.settings.paused == "budget"

    assert service.ask("resume", id="p" * 26) == {"done": "resume"}
    assert service.core.settings.paused is None
    did = [(event["command"], event["by"]) for event in service.core.journal.named("admin_did")]
    assert did == [("pause", ROBIN), ("resume", ROBIN)]


@pytest.mark.parametrize(
    ("command", "words", "call", "told"),
    [
        ("wake", "", ("wake",), "being woken"),
        ("sleep", "", ("sleep",), "goes to sleep"),
        ("schedule", "mon-fri 09:00-18:00 Europe/Berlin", "hours", "mon,tue,wed,thu,fri 09:00-18:00"),
        ("schedule", "off", ("no_hours",), "are gone"),
    ],
)
def test_an_order_is_carried_out_and_its_giver_told(service, command, words, call, told):
    assert service.ask(command, words=words) == {"done": command}
    assert call in (service.target.calls[0], service.target.calls[0][0])
    ((address, said),) = service.told
    assert address == ADDRESS
    assert told in said


def test_a_warm_time_counts_from_the_asking(service):
    asked_at = service.core.clock.now()
    service.core.clock.advance(120)
    service.ask("warm", words="30m", at=asked_at)
    assert service.target.calls == [("warm", asked_at + 1800)]


def test_an_order_that_comes_twice_is_done_once(service):
    service.ask("sleep")
    assert service.ask("sleep") == {"done": "sleep"}
    assert service.target.calls == [("sleep",)]
    assert len(service.told) == 1
    service.ask("sleep", id="p" * 26)
    assert len(service.target.calls) == 2


@pytest.mark.parametrize("changes", [{"by": YOU}, {"tenant": "T2"}, {"by": ""}, {"by": OURSELVES}])
@pytest.mark.parametrize("command", ["pause", "sleep", "purge", "schedule"])
def test_nobody_else_gives_orders(service, command, changes):
    assert service.ask(command, **changes)["refused"] in ("not_admin", "other_workspace")
    assert service.target.calls == []
    assert service.core.settings.paused is None


def test_an_order_that_lay_about_is_not_carried_out(service):
    given = service.core.clock.now()
    service.core.clock.advance(LONGEST_AGE + 1)
    assert service.ask("sleep", at=given) == {"refused": "too_old"}
    assert service.target.calls == []


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"command": "delete_everything", "tenant": TENANT, "by": ROBIN}, "unknown_command"),
        ({"command": "pause", "tenant": TENANT, "by": ROBIN, "extra": "x"}, "bad_payload"),
        ({"command": "pause", "tenant": TENANT, "by": ROBIN, "words": 7}, "bad_payload"),
        ({"command": "pause", "tenant": TENANT, "by": ROBIN, "words": "x" * 1000}, "bad_payload"),
        ({"command": None, "tenant": TENANT, "by": ROBIN}, "bad_payload"),
        ({}, "unknown_command"),
        (None, "bad_payload"),
        ([1], "bad_payload"),
        (records(), "bad_payload"),
    ],
)
def test_whatever_else_is_asked_is_refused_and_counted(service, event, code):
    assert service.desk(event, with_time()) == {"refused": code}
    assert service.core.journal.named("admin_refused") == [{"code": code}]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_aws_will_not_do_is_told_with_the_fix(service, failure):
    service.target.error, fix = FAILURES[failure]
    assert service.ask("sleep") == {"done": "sleep"}
    ((_, said),) = service.told
    assert fix in said
    (event,) = service.core.journal.named("admin_failed")
    assert (event["by"], event["command"]) == (ROBIN, "sleep")


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.code)
def test_what_may_work_the_next_time_is_tried_again_and_then_done(service, error):
    service.target.error = error
    with pytest.raises(HandlerFailed):
        service.ask("sleep")
    assert "once more" in service.told[0][1]

    service.target.error = None
    assert service.ask("sleep") == {"done": "sleep"}
    assert service.target.calls == [("sleep",)]


@pytest.mark.parametrize("lost", [Unavailable("down"), Busy("ratelimited"), Ambiguous("http_500")], ids=repr)
def test_an_answer_that_is_lost_is_given_when_the_order_comes_again(service, lost):
    service.silence = lost
    with pytest.raises(HandlerFailed):
        service.ask("wake")

    service.silence = None
    for _ in range(2):
        assert service.ask("wake") == {"done": "wake"}
    ((_, said),) = service.told
    assert "being woken" in said
    assert service.target.calls == [("wake",)]


def test_an_answer_that_slack_refuses_is_not_tried_for_ever(service):
    service.silence = Rejected("used_url")
    assert service.ask("wake") == {"done": "wake"}
    assert service.core.journal.named("whisper_lost") == [{"code": "used_url"}]
    assert service.target.low == 1


def test_lost_answers_of_forgotten_orders_are_forgotten(service):
    service.silence = Unavailable("down")
    for number in range(REMEMBERED + 5):
        with pytest.raises(HandlerFailed):
            service.ask("resume", id=f"order-{number}")

    orders = service.core.cells.read(ORDERS).value
    assert len(orders["done"]) == REMEMBERED
    assert orders["untold"].keys() == set(orders["done"])


def test_no_address_is_ever_in_the_journal(service):
    service.ask("wake")
    service.target.error, _ = FAILURES["denied"]
    service.ask("sleep", id="p" * 26)
    assert "hooks.slack.com" not in repr(service.core.journal.events)


def test_an_admins_waking_is_handed_back_when_nobody_drew(service):
    service.ask("wake")
    service.seen(Warmth.AWAKE, instances=1, desired=1)
    service.sweep()
    assert service.deliver() == [{"done": Command.HAND_BACK}]
    assert service.target.low == 0


def test_purge_ends_every_waiting_job_once_and_gives_the_time_back(service):
    drawn = accepted(service.core, "a drawing under way", key="k0")
    service.work(drawn)
    waiting = [accepted(service.core, f"a fox {n}", key=f"k{n + 1}") for n in range(3)]

    assert service.ask("purge") == {"done": "purge"}

    assert "cancelled: 3." in service.told[-1][1]
    assert [service.core.jobs.get(job.id).final_outcome for job in waiting] == [Outcome.PURGED] * 3
    assert service.core.jobs.get(drawn.id).result is None
    service.core.clock.advance(service.core.times.nudge_after)
    for job in waiting:
        service.work(job)
    assert service.core.jobs.person(TENANT, YOU).held == drawn.cost
    service.ask("purge", id="p" * 26)
    assert "cancelled: 0." in service.told[-1][1]


def test_doctor_says_what_is_wrong_with_the_fix(service):
    service.ask("pause", words="moving")
    service.core.clock.advance(HOUR)
    service.ask("doctor", id="p" * 26)
    said = service.told[-1][1]
    assert "between 0 and 2 instances" in said
    assert "BAD   drawing is paused: moving. Fix: /imagine admin resume" in said
    assert "BAD   the sweep has not looked" in said
    assert "no dead letters" in said


def test_doctor_names_missing_scaling(service):
    service.target.error, _ = FAILURES["no_scaling"]
    service.ask("doctor")
    assert "BAD   the endpoint has no scaling. Fix: imagine endpoint apply" in service.told[-1][1]


@pytest.mark.parametrize("words", ["forever", "13h", ""])
def test_a_duration_that_makes_no_sense_is_told(service, words):
    service.ask("warm", words=words)
    assert "30m" in service.told[0][1] or "1m to 12h" in service.told[0][1]
    assert service.target.calls == []
