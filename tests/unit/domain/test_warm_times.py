"""Durations and office hours as people write them."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instance_prices import LookedUp, price_of
from bot.domain.warm_times import (
    DAYS,
    OfficeHours,
    hours_of_crons,
    read_duration,
    read_office_hours,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("30min", 1800), ("2h", 7200), ("1h30m", 5400), ("12H", 43_200)]
)
def test_a_duration(text: str, seconds: float):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "half an hour", "0m", "13h", "-5m", "30", "1m30s"])
def test_what_is_no_duration_is_answered_with_a_line_that_works(text: str):
    with pytest.raises(ValueError, match=r"30m|schedule"):
        read_duration(text)


def test_office_hours_and_their_crons():
    hours = read_office_hours("mon-fri 09:00-18:30 Europe/Berlin")

    assert hours.opening_cron == "cron(0 9 ? * MON,TUE,WED,THU,FRI *)"
    assert hours.closing_cron == "cron(30 18 ? * MON,TUE,WED,THU,FRI *)"
    assert hours.hours_a_week == 47.5
    assert str(hours) == "mon,tue,wed,thu,fri 09:00-18:30 Europe/Berlin"


def test_hours_past_midnight_close_on_the_next_day():
    hours = read_office_hours("sun 22:00-06:00 UTC")

    assert hours.closing_cron == "cron(0 6 ? * MON *)"
    assert hours.hours_a_week == 8
    sunday = datetime(2027, 1, 3, 23, tzinfo=UTC)
    assert hours.is_open(sunday.timestamp())
    assert hours.is_open(sunday.timestamp() + 6 * 3600)
    assert not hours.is_open(sunday.timestamp() + 7 * 3600)


def test_hours_close_by_the_clock_of_their_zone():
    hours = read_office_hours("mon-fri 09:00-18:30 Europe/Berlin")
    monday = datetime(2027, 1, 4, 17, 30, tzinfo=UTC).timestamp()

    assert hours.closes_after(monday - 1) == monday
    assert hours.closes_after(monday) == monday + 24 * 3600
    assert hours.closes_after(monday + 4 * 24 * 3600) == monday + 7 * 24 * 3600


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("always", "mon-fri 09:00-18:00"),
        ("mon-fri 09:00-18:00", "are no hours"),
        ("mon-fry 09:00-18:00 UTC", "mon-fry is no weekday"),
        ("mon-fri 25:00-18:00 UTC", "25:00 is no time"),
        ("mon-fri 09:00-09:00 UTC", "same minute"),
        ("mon-fri 09:00-18:00 Mars/Olympus", "Mars/Olympus is no time zone"),
        ("mon-fri 09:00-18:00 ../etc/passwd", "is no time zone"),
    ],
)
def test_what_are_no_hours_is_named(text: str, told: str):
    with pytest.raises(ValueError, match=told):
        read_office_hours(text)


hours = st.builds(
    OfficeHours,
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    opens=st.integers(0, 1439),
    closes=st.integers(0, 1439),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]),
).filter(lambda hours: hours.opens != hours.closes)


@given(hours)
def test_hours_survive_being_written_and_read(written: OfficeHours):
    assert read_office_hours(str(written)) == written
    assert hours_of_crons(written.opening_cron, written.closing_cron, zone=written.zone) == written


@given(hours, st.integers(0, 4 * 10**9))
def test_hours_end_in_a_week_at_the_latest(written: OfficeHours, now: int):
    closing = written.closes_after(now)

    assert now < closing <= now + 7 * 24 * 3600 + 3600, "an hour more where clocks go back"


@given(st.text())
def test_any_text_is_read_or_refused(text: str):
    for read in (read_duration, read_office_hours):
        with suppress(ValueError):
            assert read(text)


def test_crons_of_others_are_nobodys_hours():
    assert hours_of_crons("cron(0 9 * * ? *)", "cron(0 18 * * ? *)", zone="UTC") is None


def test_the_week_wraps():
    assert read_office_hours("sat-mon 09:00-10:00 UTC").days == (0, 5, 6)
    assert len(DAYS) == 7


def test_a_price_says_what_it_rests_on():
    ours = price_of("ml.g6.xlarge", region="us-east-1").of(2)
    assert ours == "about $2.25 (us-east-1 prices of 2026-08, our table)"
    assert "may differ" in price_of("ml.g6.xlarge", region="eu-central-1").of(1)
    known = LookedUp(region="eu-central-1", day="2026-11-28", hourly={"ml.g6.xlarge": 1.5})
    looked_up = price_of("ml.g6.xlarge", region="eu-central-1", known=known)
    assert looked_up.of(2) == "about $3.00 (eu-central-1 prices of 2026-11-28, AWS's price list)"
    assert price_of("ml.g6.xlarge", region="us-east-1", known=known).hourly == 1.127, "of another region"
    assert "unknown amount" in price_of("ml.new.huge", region="us-east-1").of(1)
    china = price_of("ml.g5.xlarge", region="cn-north-1").of(1)
    assert china == "an unknown amount (cn-north-1 bills in yuan by a price list of its own)"
