"""warm, sleep, schedule, drain: capacity by hand and by the clock. What raises it says its price first."""

import argparse
import json
import time
from datetime import UTC, datetime

from bot.domain.instance_prices import Price
from bot.domain.warm_times import OfficeHours, read_duration, read_office_hours
from infra.commands.endpoint.shared import Context, Parsers, add_options, number
from infra.endpoint.errors import EndpointError
from infra.endpoint.status import Status

LOOK_EVERY = 30.0
QUIET = 180.0
"""Seconds of a measured backlog of nothing: the metric is a minute or two behind."""


def add_parsers(verbs: Parsers) -> None:
    warm = verbs.add_parser("warm", help="keep one instance for a while, such as 30m; it ends by itself")
    warm.add_argument("duration", type=_duration, metavar="DURATION", help="30m, 2h, 1h30m; at most 12h")
    warm.set_defaults(run=run_warm)
    add_options(warm, yes=True)
    sleep = verbs.add_parser("sleep", help="end every instance now; the next drawing wakes it")
    sleep.set_defaults(run=run_sleep)
    add_options(sleep, yes=True)
    schedule = verbs.add_parser("schedule", help="office hours, such as 'mon-fri 09:00-18:00 Europe/Berlin'")
    schedule.add_argument("hours", help="weekdays, from-to, time zone; or off", metavar="HOURS")
    schedule.set_defaults(run=run_schedule)
    add_options(schedule, yes=True)
    drain = verbs.add_parser("drain", help="wait until nothing waits or draws any more")
    drain.add_argument(
        "--minutes", type=number(1, whole=True), default=60, help="give up after (default: %(default)s)"
    )
    drain.set_defaults(run=run_drain)
    add_options(drain)


def run_warm(arguments: argparse.Namespace) -> int:
    """Price, then the end, then the beginning."""
    context = Context(arguments)
    price = _status(context).price.of(arguments.duration / 3600)
    ending = _clock(time.time() + arguments.duration)
    context.confirm(f"Keep one instance until {ending}? That costs {price}.")
    # Somebody may have answered late, and an end in the past would never come.
    now = time.time()
    until = context.control.warm(now + arguments.duration, now=now)
    return _say(context, f"warm until {_clock(until)}; it ends by itself", {"until": until})


def run_sleep(arguments: argparse.Namespace) -> int:
    context = Context(arguments)
    status = _status(context)
    if status.backlog:
        context.confirm(
            f"{status.backlog} drawings wait or are drawn; they would begin anew. Sleep all the same?"
        )
    context.control.sleep()
    return _say(context, "asleep; the next drawing wakes it", {})


def run_schedule(arguments: argparse.Namespace) -> int:
    """Set the hours, or end them with `off`."""
    context = Context(arguments)
    if arguments.hours == "off":
        ended = context.control.end_office_hours()
        return _say(context, "no office hours any more" if ended else "there were no office hours", {})
    hours = _hours(arguments.hours)
    context.confirm(f"Keep one instance {hours}? {_month(hours, _status(context).price)}")
    context.control.keep_office_hours(hours)
    return _say(context, f"kept warm {hours}", {"hours": str(hours)})


def run_drain(arguments: argparse.Namespace) -> int:
    """Returns once the backlog was measured as nothing for a while. Raises EndpointError otherwise."""
    context = Context(arguments)
    context.tell("new jobs stay out while the bot is paused: /imagine admin pause")
    deadline, quiet_since = time.time() + arguments.minutes * 60, time.time()
    while time.time() - quiet_since < QUIET:
        if time.time() > deadline:
            raise EndpointError(f"still something waiting or drawing after {arguments.minutes} minutes")
        time.sleep(LOOK_EVERY)
        quiet_since = quiet_since if _status(context).backlog == 0 else time.time()
    return _say(context, "nothing waits or draws", {"backlog": 0})


def _status(context: Context) -> Status:
    status = context.status()
    if status is None:
        raise EndpointError(f"there is no endpoint {context.name}; imagine endpoint apply makes it")
    return status


def _month(hours: OfficeHours, price: Price) -> str:
    return f"That is {hours.hours_a_month:.0f} hours a month, {price.of(hours.hours_a_month)}."


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(text: str) -> float:
    try:
        return read_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _hours(text: str) -> OfficeHours:
    try:
        return read_office_hours(text)
    except ValueError as error:
        raise EndpointError(str(error)) from error


def _say(context: Context, sentence: str, told: dict[str, object]) -> int:
    print(json.dumps({"outcome": "done", **told}) if context.arguments.json else sentence)
    return 0
