"""When the endpoint is woken and handed back, as a pure machine; and what an order looks like on its way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Refused
from bot.domain.steering import (
    ADMIN_PATIENCE,
    FIRST_REPEAT,
    LONGEST_REPEAT,
    OURSELVES,
    Asked,
    Command,
    Seen,
    Waking,
    next_command,
)

ASLEEP = Seen(instances=0, desired=0, is_serving=True, in_flight=1, may_spend=True)
STARTING, AWAKE = replace(ASLEEP, desired=1), replace(ASLEEP, desired=1, instances=1)
NOW = 1_800_000_000.0
WOKEN = Waking(id="w1", by=OURSELVES, since=NOW).asked(Command.WAKE, now=NOW)

seen = st.builds(
    Seen,
    instances=st.integers(0, 2),
    desired=st.integers(0, 2),
    is_serving=st.booleans(),
    in_flight=st.integers(0, 3),
    may_spend=st.booleans(),
)
asked = st.builds(
    Asked,
    command=st.sampled_from(Command),
    tenant=st.text(max_size=20),
    by=st.text(max_size=20),
    words=st.text(max_size=60),
    id=st.text(max_size=26),
    at=st.floats(0, 4e9),
    response_url=st.text(max_size=80),
)


def test_the_first_job_while_asleep_asks_for_waking():
    assert next_command(None, ASLEEP, now=NOW) is Command.WAKE


@pytest.mark.parametrize(
    "instead",
    [
        {"in_flight": 0},
        {"may_spend": False},
        {"is_serving": False},
        {"desired": 1},
        {"instances": 1, "desired": 1},
    ],
)
def test_nothing_is_woken_without_work_money_or_need(instead):
    assert next_command(None, replace(ASLEEP, **instead), now=NOW) is None


def test_a_waking_is_not_asked_twice_at_once_but_again_when_nothing_starts():
    assert next_command(WOKEN, ASLEEP, now=NOW + FIRST_REPEAT - 1) is None
    assert next_command(WOKEN, ASLEEP, now=NOW + FIRST_REPEAT) is Command.WAKE
    assert next_command(WOKEN, STARTING, now=NOW + FIRST_REPEAT) is None


def test_repeats_grow_apart_and_stay_below_a_quarter_of_an_hour():
    pauses, waking, now = [], WOKEN, NOW
    for _ in range(8):
        pause = next(
            step
            for step in range(0, 3600, 30)
            if next_command(waking, ASLEEP, now=now + step) is Command.WAKE
        )
        pauses.append(pause)
        now += pause
        waking = waking.asked(Command.WAKE, now=now)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_REPEAT, LONGEST_REPEAT)


def test_it_is_handed_back_as_soon_as_it_runs_and_until_somebody_has_done_so():
    assert next_command(WOKEN, AWAKE, now=NOW + 1) is Command.HAND_BACK
    back = WOKEN.asked(Command.HAND_BACK, now=NOW)
    assert next_command(back, AWAKE, now=NOW + 1) is None
    assert next_command(back, AWAKE, now=NOW + FIRST_REPEAT) is Command.HAND_BACK


def test_it_is_handed_back_when_nothing_is_open_any_more():
    assert next_command(WOKEN, replace(STARTING, in_flight=0), now=NOW + 1) is Command.HAND_BACK


def test_an_admins_waking_needs_no_work_but_not_for_ever():
    woken = replace(WOKEN, by="U1")
    nothing = replace(STARTING, in_flight=0)
    assert next_command(woken, nothing, now=NOW + 600) is None
    assert next_command(woken, nothing, now=NOW + ADMIN_PATIENCE) is Command.HAND_BACK


@given(st.lists(st.tuples(seen, st.integers(1, 1200), st.booleans()), max_size=40))
def test_whatever_is_seen_and_lost_a_raised_minimum_is_handed_back_in_the_end(story):
    """Orders may be lost (False); those that arrive are carried out as the admin function does."""
    waking, raised, now = None, False, NOW
    idle = (replace(ASLEEP, in_flight=0), 1800, True)
    for each, pause, arrives in [*story, idle, idle]:
        now += pause
        command = next_command(waking, each, now=now)
        if command is None:
            continue
        if command is Command.WAKE:
            assert each.has_work
            assert each.is_stranded
        waking = (waking or Waking(id="w", by=OURSELVES, since=now)).asked(command, now=now)
        if arrives:
            raised = command is Command.WAKE
            waking = waking if raised else None
    assert not raised
    assert waking is None


@given(asked)
def test_an_order_arrives_as_it_was_given(order):
    assert Asked.of(order.payload) == order


@given(st.none() | st.integers() | st.dictionaries(st.sampled_from(["command", "at", "x"]), st.integers()))
def test_any_other_payload_is_refused(event):
    with pytest.raises(Refused):
        Asked.of(event)


def test_a_record_is_read_back():
    assert Waking.of(WOKEN.record) == WOKEN
    assert Waking.of({}) is None


def test_an_orders_address_is_not_in_its_repr():
    order = Asked(command=Command.WAKE, tenant="T1", by="U1", response_url="https://hooks.slack.com/secret")
    assert "secret" not in repr(order)
