"""What may be asked of the admin function, which alone holds rights over the endpoint's capacity.

And when it is asked without a person: the first job while the endpoint sleeps raises the minimum at once,
and it is handed back as soon as an instance runs or nothing is left to draw.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from bot.domain.errors import Refused
from bot.domain.times import MINUTE

OURSELVES = "sweep"
"""Who asks where no person does. No user id of Slack's is in small letters."""

LONGEST_WORDS, LONGEST_ADDRESS = 500, 1000
LONGEST_AGE = 10 * MINUTE
"""An order that lay about longer is not carried out: whoever gave it has long looked again."""

ADMIN_PATIENCE = 30 * MINUTE
"""How long a waking by an admin is kept without work and without an instance."""

FIRST_REPEAT, LONGEST_REPEAT = 2 * MINUTE, 15 * MINUTE


class Command(StrEnum):
    """What may be asked."""

    DOCTOR = "doctor"
    HAND_BACK = "hand_back"
    PAUSE = "pause"
    PURGE = "purge"
    REFRESH = "refresh"
    RESUME = "resume"
    SCHEDULE = "schedule"
    SLEEP = "sleep"
    WAKE = "wake"
    WARM = "warm"


UNASKED = frozenset({Command.WAKE, Command.HAND_BACK})
"""What is asked without a person, under rules of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command with who gave it and when (`at`, seconds since 1970).

    `id` names it, so that what comes twice is done once. `words` are a pause's reason, a duration or hours.
    `response_url` is where its giver is answered: a secret for half an hour, never to be logged.
    """

    command: Command
    tenant: str
    by: str
    words: str = ""
    id: str = ""
    at: float = 0.0
    response_url: str = field(default="", repr=False)

    @classmethod
    def of(cls, event: object) -> Self:
        """The command in a payload. Raises Refused: bad_payload, unknown_command."""
        names = {each.name for each in fields(cls)}
        if not isinstance(event, Mapping) or not event.keys() <= names:
            raise Refused("bad_payload")
        told = {"command": "", "tenant": "", "by": "", **event}
        at = told.pop("at", 0.0)
        if not isinstance(at, int | float) or not all(_is_text(name, text) for name, text in told.items()):
            raise Refused("bad_payload")
        if told["command"] not in set(Command):
            raise Refused("unknown_command")
        return cls(**{**told, "command": Command(told["command"])}, at=float(at))

    @property
    def payload(self) -> dict[str, Any]:
        """What `of` reads back."""
        return {name: value for name, value in asdict(self).items() if value not in ("", 0.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What decides about waking. `in_flight` jobs were handed to the endpoint; `may_spend` is False while
    paused and where the month's ceiling is passed.
    """

    instances: int
    desired: int
    is_serving: bool
    in_flight: int
    may_spend: bool

    @property
    def is_stranded(self) -> bool:
        """Nothing runs and nothing is being started, though it could be."""
        return self.is_serving and self.instances == 0 and self.desired == 0

    @property
    def has_work(self) -> bool:
        return self.in_flight > 0 and self.may_spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    """The minimum is raised, or about to be, since `since`. `command` was asked for `tries` times, last at
    `asked_at`; the record stays until it is handed back, so that a lost message is repeated.
    """

    id: str
    by: str
    since: float
    command: Command = Command.WAKE
    asked_at: float = 0.0
    tries: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self | None:
        """What the shared row says; None where nothing is raised."""
        return cls(**{**record, "command": Command(record["command"])}) if record else None

    @property
    def record(self) -> dict[str, Any]:
        return asdict(self)

    def asked(self, command: Command, *, now: float) -> "Waking":
        """The record before `command` is asked for once more."""
        tries = self.tries + 1 if command is self.command else 1
        return replace(self, command=command, tries=tries, asked_at=now)


def next_command(waking: Waking | None, seen: Seen, *, now: float) -> Command | None:
    """What is to be asked for now, WAKE, HAND_BACK or nothing; with a growing distance between repeats."""
    if waking is None:
        return Command.WAKE if seen.is_stranded and seen.has_work else None
    wanted = _wanted(waking, seen, now)
    rests = now < waking.asked_at + min(FIRST_REPEAT * 2.0 ** (min(waking.tries, 9) - 1), LONGEST_REPEAT)
    return None if wanted is waking.command and waking.tries > 0 and rests else wanted


def is_wanted(waking: Waking, seen: Seen, *, now: float) -> bool:
    """Whether something still needs the instance that is not there yet."""
    by_person = waking.by != OURSELVES and now < waking.since + ADMIN_PATIENCE
    return seen.has_work or by_person


def _wanted(waking: Waking, seen: Seen, now: float) -> Command | None:
    if seen.instances > 0 or not is_wanted(waking, seen, now=now):
        return Command.HAND_BACK
    return Command.WAKE if seen.is_stranded else None


def _is_text(name: str, text: object) -> bool:
    longest = LONGEST_ADDRESS if name == "response_url" else LONGEST_WORDS
    return isinstance(text, str) and len(text) <= longest
