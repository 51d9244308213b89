"""How long the endpoint is to be kept warm: "30m", or office hours such as "mon-fri 09:00-18:00
Europe/Berlin".

Cron lines are Application Auto Scaling's (six fields; its user guide, "Scheduled scaling using cron
expressions").
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_WARM = 12 * 3600.0
"""Seconds. Who wants more wants office hours."""

WEEKS_A_MONTH = 730 / 168
_DURATION = re.compile(r"(?:(?P<hours>\d{1,2})h)?(?:(?P<minutes>\d{1,3})m(?:in)?)?", re.IGNORECASE)
_DAY = "(?:MON|TUE|WED|THU|FRI|SAT|SUN)"
_OUR_CRON = re.compile(rf"cron\((?P<minutes>\d+) (?P<hours>\d+) \? \* (?P<days>{_DAY}(?:,{_DAY})*) \*\)")
_HOURS = re.compile(
    r"(?P<days>[a-z,-]+)\s+(?P<opens>\d{1,2}:\d{2})\s*-\s*(?P<closes>\d{1,2}:\d{2})\s+(?P<zone>\S+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeHours:
    """Weekdays (0 is Monday) and minutes of the day in `zone`. `closes` before `opens` is on the next day."""

    days: tuple[int, ...]
    opens: int
    closes: int
    zone: str

    @property
    def hours_a_week(self) -> float:
        """How long it is open, counted once: the price of it."""
        return len(self.days) * ((self.closes - self.opens) % 1440) / 60

    @property
    def hours_a_month(self) -> float:
        return self.hours_a_week * WEEKS_A_MONTH

    @property
    def opening_cron(self) -> str:
        return _cron(self.opens, self.days)

    @property
    def closing_cron(self) -> str:
        return _cron(self.closes, self._closing_days)

    @property
    def _closing_days(self) -> tuple[int, ...]:
        shift = 0 if self.closes > self.opens else 1
        return tuple(sorted((day + shift) % 7 for day in self.days))

    def is_open(self, now: float) -> bool:
        """Whether `now` (seconds since 1970) lies in the hours."""
        local = datetime.fromtimestamp(now, tz=ZoneInfo(self.zone))
        minute, yesterday = local.hour * 60 + local.minute, (local.weekday() - 1) % 7
        if self.closes > self.opens:
            return local.weekday() in self.days and self.opens <= minute < self.closes
        return (local.weekday() in self.days and minute >= self.opens) or (
            yesterday in self.days and minute < self.closes
        )

    def closes_after(self, now: float) -> float:
        """The first closing behind `now`, both in seconds since 1970."""
        zone = ZoneInfo(self.zone)
        clock = time(self.closes // 60, self.closes % 60, tzinfo=zone)
        today = datetime.fromtimestamp(now, tz=zone).date()
        days = (today + timedelta(days=number) for number in range(8))
        closings = (datetime.combine(day, clock) for day in days if day.weekday() in self._closing_days)
        return next(closing.timestamp() for closing in closings if closing.timestamp() > now)

    def __str__(self) -> str:
        named = ",".join(DAYS[day] for day in self.days)
        return f"{named} {_clock(self.opens)}-{_clock(self.closes)} {self.zone}"


def read_duration(text: str) -> float:
    """Seconds of "30m", "2h" or "1h30m". Raises ValueError with a line that works."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not text.strip():
        raise ValueError(f"{text!r} is no duration; write 30m, 2h or 1h30m")
    seconds = int(match["hours"] or 0) * 3600.0 + int(match["minutes"] or 0) * 60.0
    if not 60 <= seconds <= LONGEST_WARM:
        raise ValueError(f"{text!r} is not from 1m to 12h; for longer, use a schedule")
    return seconds


def read_office_hours(text: str) -> OfficeHours:
    """Raises ValueError with what is wrong and a line that works."""
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} are no hours; write mon-fri 09:00-18:00 Europe/Berlin")
    opens, closes = _minutes(match["opens"]), _minutes(match["closes"])
    if opens == closes:
        raise ValueError(
            "it would open and close at the same minute; write mon-fri 09:00-18:00 Europe/Berlin"
        )
    try:
        zone = ZoneInfo(match["zone"]).key
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{match['zone']} is no time zone; write one such as Europe/Berlin or UTC"
        ) from error
    return OfficeHours(days=_days(match["days"].lower()), opens=opens, closes=closes, zone=zone)


def hours_of_crons(opening: str, closing: str, *, zone: str) -> OfficeHours | None:
    """The hours behind two cron lines of ours; None where somebody else wrote them."""
    opens, closes = _OUR_CRON.fullmatch(opening), _OUR_CRON.fullmatch(closing)
    if opens is None or closes is None:
        return None
    return OfficeHours(
        days=tuple(sorted(DAYS.index(day) for day in opens["days"].lower().split(","))),
        opens=int(opens["hours"]) * 60 + int(opens["minutes"]),
        closes=int(closes["hours"]) * 60 + int(closes["minutes"]),
        zone=zone,
    )


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"{part} is no weekday; write mon-fri, or mon,wed")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(sorted(found))


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{text} is no time of the day; write 09:00")
    return int(hours) * 60 + int(minutes)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _cron(minutes: int, days: tuple[int, ...]) -> str:
    named = ",".join(DAYS[day].upper() for day in days)
    return f"cron({minutes % 60} {minutes // 60} ? * {named} *)"
