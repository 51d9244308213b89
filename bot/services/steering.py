"""What an admin asks of the endpoint's capacity: priced first, then handed to the admin function.

Nothing here changes capacity, and nothing here could: the admin function alone holds the rights.
"""

from dataclasses import dataclass

from bot.domain import messages
from bot.domain.errors import PeerError, Refused
from bot.domain.instance_prices import Price
from bot.domain.job import job_id
from bot.domain.steering import Asked, Command
from bot.domain.warm_times import read_duration, read_office_hours
from bot.ports import Steering
from bot.services.core import Caller, Core

SHORTEST_WAKE = 1 / 3
"""Hours that are paid for at least: about 5 minutes of start and 15 of idle time."""

OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked before it is done. `price` is in words; empty where nothing costs."""

    command: Command
    words: str = ""
    price: str = ""
    hourly: str = ""


def question(core: Core, caller: Caller, command: Command, words: str) -> Question | None:
    """What the sender has to see first; None for what needs no asking.

    Raises Refused: not_admin, own_server, bad_words.
    """
    if command is not Command.PURGE or not caller.is_admin:
        _steering(core, caller)
    try:
        hours = _hours(command, words)
    except ValueError as error:
        raise Refused("bad_words", why=_sentence(command, words, error)) from error
    if hours is not None:
        price = Price(hourly=core.policy.rate.dollars_per_hour, basis="by IMAGINE_DOLLARS_PER_HOUR")
        return Question(command=command, words=words, price=price.of(hours), hourly=f"${price.hourly:,.2f}")
    asks = command in (Command.SLEEP, Command.PURGE)
    return Question(command=command) if asks else None


def give(
    core: Core, caller: Caller, command: Command, *, words: str, source_key: str, response_url: str
) -> None:
    """Hand a command over. The journal has who gave which before anything is sent.

    Raises Refused: not_admin, own_server, not_handed_over.
    """
    steering = _steering(core, caller)
    asked = Asked(
        command=command,
        tenant=caller.tenant,
        by=caller.user,
        words=words,
        id=job_id(caller.tenant, source_key),
        at=core.clock.now(),
        response_url=response_url,
    )
    core.journal.event("admin_asked", command=command, tenant=caller.tenant, by=caller.user)
    try:
        steering.ask(asked)
    except PeerError as lost:
        core.journal.event("order_lost", command=command, code=lost.code)
        raise Refused("not_handed_over", reason=lost.code) from lost


def _steering(core: Core, caller: Caller) -> Steering:
    if not caller.is_admin:
        raise Refused("not_admin")
    if core.steering is None:
        raise Refused("own_server")
    return core.steering


def _sentence(command: Command, words: str, error: ValueError) -> str:
    """A bare word is a question how it is written."""
    bare = {Command.WARM: messages.WARM_HOW, Command.SCHEDULE: messages.SCHEDULE_HOW}
    return str(error) if words else bare[command]


def _hours(command: Command, words: str) -> float | None:
    """For how many hours it is paid, in a month where it is for ever. Raises ValueError."""
    if command is Command.WAKE:
        return SHORTEST_WAKE
    if command is Command.WARM:
        return read_duration(words) / 3600
    if command is Command.SCHEDULE and words != OFF:
        return read_office_hours(words).hours_a_month
    return None
