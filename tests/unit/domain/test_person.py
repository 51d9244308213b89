import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Refused
from bot.domain.job import Outcome
from bot.domain.person import Person, hold, settlement_of
from tests.factories import make_job, make_result

DAY = "2027-01-15"
costs = st.integers(1, 10_000)


def test_a_job_is_held_against_the_day():
    person = hold(Person(tenant="T1", user="U1"), cost=400, day=DAY, limit=1000, virtual_time=0)

    assert (person.held, person.spent, person.used) == (400, 0, 400)


def test_a_job_beyond_the_limit_is_refused_with_the_figures():
    person = Person(tenant="T1", user="U1", day=DAY, spent=700)

    with pytest.raises(Refused) as refused:
        hold(person, cost=400, day=DAY, limit=1000, virtual_time=0)

    assert refused.value.code == "quota_spent"
    assert refused.value.facts == {"used": 700, "limit": 1000, "cost": 400}


def test_a_new_day_starts_empty():
    person = Person(tenant="T1", user="U1", day="2027-01-14", held=300, spent=700)

    assert hold(person, cost=400, day=DAY, limit=1000, virtual_time=0).used == 400


def settle(person, job):
    return person.settled(settlement_of(job))


@pytest.mark.parametrize(
    ("outcome", "spent"), [(Outcome.OK, 1000), (Outcome.CANCELLED, 0), (Outcome.TIMED_OUT, 0)]
)
def test_only_a_delivered_picture_is_spent(outcome, spent):
    job = make_job(result=make_result(outcome=outcome))
    person = Person(tenant="T1", user="U1", day=job.quota_day, held=1000, version=1)

    assert (settle(person, job).held, settle(person, job).spent) == (0, spent)


def test_an_undelivered_picture_is_given_back():
    job = make_job(result=make_result(), undelivered=Outcome.CANNOT_DELIVER)

    assert settle(Person(tenant="T1", user="U1", day=job.quota_day, held=1000, version=1), job).spent == 0


def test_yesterdays_job_changes_nothing_of_today():
    person = Person(tenant="T1", user="U1", day="2027-01-16", held=5, spent=6, version=1)

    settled = settle(person, make_job(result=make_result()))

    assert (settled.held, settled.spent) == (5, 6)


@given(st.lists(st.tuples(costs, st.booleans()), max_size=20))
def test_held_is_what_is_open_and_spent_what_was_delivered(jobs):
    person = Person(tenant="T1", user="U1")
    for cost, _ in jobs:
        person = hold(person, cost=cost, day=DAY, limit=10**9, virtual_time=0)
    for cost, delivered in jobs:
        outcome = Outcome.OK if delivered else Outcome.ENGINE_FAILED
        person = settle(person, make_job(cost=cost, quota_day=DAY, result=make_result(outcome=outcome)))

    assert person.held == 0
    assert person.spent == sum(cost for cost, delivered in jobs if delivered)


@given(st.lists(costs, min_size=2, max_size=10), st.integers(0, 50_000))
def test_somebody_who_asked_for_much_waits_behind_somebody_who_asked_for_little(spree, virtual_time):
    heavy = Person(tenant="T1", user="U1")
    for cost in spree:
        heavy = hold(heavy, cost=cost, day=DAY, limit=10**9, virtual_time=virtual_time)
    light = hold(
        Person(tenant="T1", user="U2"), cost=spree[-1], day=DAY, limit=10**9, virtual_time=virtual_time
    )

    assert light.tag < heavy.tag


def test_nobody_saves_up_a_claim_while_away():
    away = dataclasses.replace(Person(tenant="T1", user="U1"), tag=10)

    assert hold(away, cost=5, day=DAY, limit=100, virtual_time=1000).tag == 1005
