import pytest

from bot.domain.errors import IllegalTransition
from bot.domain.job import Outcome, State, state_of
from bot.domain.transitions import TRANSITIONS, apply, is_open, is_unresolved
from tests.factories import NOW, make_job, make_result

WALK = (
    ("intend_announce", {"announcements": 1, "announce_intent_at": NOW}, State.ACCEPTED),
    ("announce", {"announced_ref": "1.2"}, State.ANNOUNCED),
    ("admit", {"admitted_at": NOW}, State.ADMITTED),
    ("intend_submit", {"submissions": 1, "submitted_at": NOW}, State.SUBMITTED),
    ("resolve", {"result": make_result()}, State.RESOLVED),
    (
        "intend_deliver",
        {"delivery_refs": ("F1",), "deliveries": 1, "deliver_intent_at": NOW},
        State.DELIVERING,
    ),
    ("deliver", {"delivered_at": NOW}, State.DELIVERING),
    ("finish", {"done_at": NOW}, State.DONE),
    ("audit", {"audited_at": NOW, "next_check_at": None}, State.AUDITED),
)


def test_a_job_walks_from_accepted_to_audited():
    job = make_job()
    for name, facts, reached in WALK:
        job = apply(job, name, **facts)
        assert state_of(job) is reached

    assert job.version == 1 + len(WALK), "every write is counted"


def test_a_decided_job_cannot_be_decided_again():
    job = apply(make_job(), "resolve", result=make_result(outcome=Outcome.CANCELLED, pictures=()))

    with pytest.raises(IllegalTransition, match="resolve from resolved"):
        apply(job, "resolve", result=make_result())


def test_a_transition_writes_only_its_own_facts():
    with pytest.raises(IllegalTransition, match="done_at"):
        apply(make_job(), "intend_announce", done_at=NOW)


def test_a_transition_must_reach_the_state_of_the_table():
    with pytest.raises(IllegalTransition, match="announce reaches accepted"):
        apply(make_job(), "announce", announced_ref=None)


@pytest.mark.parametrize("name", TRANSITIONS)
def test_every_transition_leaves_a_state_that_some_transition_reaches(name):
    reached = {row.after for row in TRANSITIONS.values() if row.after} | {State.ACCEPTED}

    assert TRANSITIONS[name].before <= reached


@pytest.mark.parametrize("state", State)
def test_every_state_but_the_last_can_be_left(state):
    leaving = [row for row in TRANSITIONS.values() if state in row.before and row.after not in (None, state)]

    assert bool(leaving) is (state is not State.AUDITED)


def test_open_and_unresolved_follow_the_state():
    waiting, decided = make_job(), make_job(result=make_result())
    done = make_job(result=make_result(), done_at=NOW)

    assert (is_unresolved(waiting), is_open(waiting)) == (True, True)
    assert (is_unresolved(decided), is_open(decided)) == (False, True)
    assert (is_unresolved(done), is_open(done)) == (False, False)
