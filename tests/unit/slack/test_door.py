"""Who is let through, and how errors read."""

import pytest

from bot.domain.errors import (
    Ambiguous,
    BadOutput,
    Busy,
    JobMoved,
    Refused,
    Rejected,
    Unavailable,
)
from bot.local.journal import ListJournal
from bot.slack.door import Door
from bot.slack.settings import SlackSettings


class CoreWithJournal:
    def __init__(self):
        self.journal = ListJournal()


@pytest.fixture
def door():
    settings = SlackSettings(team_id="T1", admins=frozenset({"U1"}))
    return Door(core=CoreWithJournal(), settings=settings)


def context(*, team="T1", user="U1"):
    return {"authorize_result": {"team_id": "T1"}, "team_id": team, "user_id": user}


def test_the_tenant_is_the_authorised_workspace(door):
    caller = door.caller(context(), {"user_id": "U1"})

    assert (caller.tenant, caller.user, caller.is_admin) == ("T1", "U1", True)


def test_others_are_no_admins(door):
    assert not door.caller(context(user="U2"), {"user": {"id": "U2", "team_id": "T1"}}).is_admin


@pytest.mark.parametrize(
    ("seen", "body"),
    [
        (context(team="T2"), {}),
        (context(team=None), {}),
        (context(), {"user": {"id": "U1", "team_id": "T2"}}),
    ],
)
def test_somebody_from_another_workspace_is_refused(door, seen, body):
    with pytest.raises(Refused, match="other_workspace"):
        door.caller(seen, body)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Refused("not_yours"), "Only the person who asked"),
        (Refused("a_new_code"), "went wrong on our side"),
        (Busy("ratelimited", retry_after=7), "again in 7 s"),
        (Busy("ratelimited"), "again in 1 s"),
        (Ambiguous("reply_lost"), "could not confirm"),
        (JobMoved("j"), "could not confirm"),
        (Unavailable("refused"), "did not work just now"),
        (Rejected("not_in_channel"), "/invite"),
        (Rejected("msg_too_long"), "did not work just now"),
        (BadOutput("x"), "did not work just now"),
        (ZeroDivisionError(), "went wrong on our side"),
    ],
)
def test_every_error_has_a_sentence(door, error, words):
    def fail():
        raise error

    assert words in door.answer(fail).text


def test_a_defect_is_reported_by_its_type_alone(door):
    def fail():
        raise ValueError("a prompt somebody typed")

    door.answer(fail)

    assert door.core.journal.events == [("slack_door_error", {"error": "ValueError"})]


def test_nothing_to_say_is_nothing(door):
    assert door.answer(lambda: None) is None
