"""The schedules of Application Auto Scaling's scheduled actions: `at(…)`, `rate(…)` and `cron(…)` with a time
zone.

Source: Application Auto Scaling user guide, "Schedule recurring scaling actions using cron expressions". Cron
has six fields: minutes, hours, day of month, month, day of week (1 or SUN is Sunday), year.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = dict(
    zip(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        range(1, 13),
        strict=True,
    )
)
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minutes", 0, 59, {}),
    ("hours", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS),
    ("year", 1970, 2199, {}),
)
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When an action acts. Exactly one of `at`, `every` (seconds) and `fields` is there."""

    zone: tzinfo
    at: float | None = None
    every: float | None = None
    fields: tuple[frozenset[int], ...] = ()

    def between(self, after: float, until: float, *, start: float) -> Iterator[float]:
        """The moments in (after, until], in order; `start` is when the action was made."""
        if self.at is not None:
            yield from [self.at] if after < self.at <= until else []
        elif self.every is not None:
            turn = int(max(after - start, 0.0) // self.every) + 1
            while start + turn * self.every <= until:
                yield start + turn * self.every
                turn += 1
        else:
            yield from self._minutes(after, until)

    def _minutes(self, after: float, until: float) -> Iterator[float]:
        moment = datetime.fromtimestamp(int(after // 60) * 60, tz=UTC) + timedelta(minutes=1)
        while moment.timestamp() <= until:
            if self._matches(moment.astimezone(self.zone)):
                yield moment.timestamp()
            moment += timedelta(minutes=1)

    def _matches(self, local: datetime) -> bool:
        told = (
            local.minute,
            local.hour,
            local.day,
            local.month,
            local.isoweekday() % 7 + 1,
            local.year,
        )
        return all(value in allowed for value, allowed in zip(told, self.fields, strict=True))


def read_schedule(text: str, *, zone: str = "UTC") -> Schedule:
    """Raises ValueError naming what AWS would refuse."""
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{zone} is no time zone") from error
    kind, _, rest = text.partition("(")
    inside = rest.removesuffix(")")
    if kind == "at":
        return Schedule(zone=place, at=datetime.fromisoformat(inside).replace(tzinfo=place).timestamp())
    if kind == "rate":
        return Schedule(zone=place, every=_rate(inside))
    if kind == "cron":
        return Schedule(zone=place, fields=_cron(inside))
    raise ValueError(f"a schedule is at(…), rate(…) or cron(…), not {text}")


def _rate(text: str) -> float:
    match = re.fullmatch(r"([1-9]\d*) (minute|hour|day)s?", text)
    if match is None:
        raise ValueError(f"a rate looks like rate(5 minutes), not rate({text})")
    return int(match[1]) * _UNITS[match[2]]


def _cron(text: str) -> tuple[frozenset[int], ...]:
    parts = text.split()
    if len(parts) != 6:
        raise ValueError(f"cron takes six fields, not {len(parts)}")
    if "?" not in (parts[2], parts[4]):
        raise ValueError("one of day of month and day of week must be ?")
    return tuple(_field(part, *kind) for part, kind in zip(parts, _FIELDS, strict=True))


def _field(text: str, name: str, low: int, high: int, names: Mapping[str, int]) -> frozenset[int]:
    allowed: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = _span(span, name, low, high, names)
        allowed |= set(range(first, (high if step and "-" not in span else last) + 1, int(step or 1)))
    return frozenset(allowed)


def _span(text: str, name: str, low: int, high: int, names: Mapping[str, int]) -> tuple[int, int]:
    if text in {"*", "?"}:
        return low, high
    first, _, last = text.partition("-")
    ends = [names.get(end.upper(), int(end) if end.isdecimal() else -1) for end in (first, last or first)]
    if not low <= ends[0] <= ends[1] <= high:
        raise ValueError(f"{text} is no {name}")
    return ends[0], ends[1]
