"""cost: what a month costs, idle and drawing, line by line."""

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.instance_prices import TABLE_REGION, LookedUp
from infra.commands.endpoint.shared import Context, Parsers, add_options, number
from infra.endpoint.cost import MODELS_GB, Line, drawing_month, idle_month, total, total_without_free
from infra.endpoint.errors import EndpointError
from infra.endpoint.price_list import FILE, look_up, need_dollars, write_prices
from infra.endpoint.rates import RATES


def add_parsers(verbs: Parsers) -> None:
    cost = verbs.add_parser("cost", help="what a month costs, line by line; asks AWS nothing")
    for name, kind, default, meaning in (
        ("--models-gb", number(0), MODELS_GB, "models kept"),
        ("--pictures", number(0, whole=True), 2000, "a month"),
        ("--seconds", number(0), 5.0, "GPU seconds a picture"),
        ("--wakes", number(0, whole=True), 60, "a month"),
    ):
        cost.add_argument(name, type=kind, default=default, help=f"{meaning} (default: %(default)s)")
    cost.add_argument(
        "--refresh", action="store_true", help=f"ask AWS for today's prices first and keep them in {FILE}"
    )
    cost.set_defaults(run=run)
    add_options(cost, file=True)


def run(arguments: argparse.Namespace) -> int:
    """Every amount says what it rests on. Raises EndpointError."""
    context = Context(arguments)
    region = _region(context)
    need_dollars(region)
    prices = _refreshed(context, region) if arguments.refresh else context.prices
    idle = idle_month(models_gb=arguments.models_gb, region=region, known=prices)
    drawing = drawing_month(
        context.settings,
        pictures=arguments.pictures,
        seconds=arguments.seconds,
        wakes=arguments.wakes,
        region=region,
        known=prices,
    )
    if arguments.json:
        print(json.dumps(_told(idle, drawing)))
    else:
        print(*_lines(idle, drawing), sep="\n")
    return 0


def _told(idle: Sequence[Line], drawing: Line) -> dict[str, object]:
    return {
        "idle": [dataclasses.asdict(line) for line in idle],
        "idle_total": total(idle),
        "idle_total_without_free_amounts": total_without_free(idle),
        "drawing": dataclasses.asdict(drawing),
        "price_basis": drawing.basis,
    }


def _lines(idle: Sequence[Line], drawing: Line) -> Iterator[str]:
    bases = list(dict.fromkeys(line.basis for line in idle))
    alike = len(bases) == 1
    yield f"A month without a drawing ({bases[0]}):" if alike else "A month without a drawing:"
    for line in idle:
        yield _line(line.dollars, line.what if alike else f"{line.what} ({line.basis})")
    yield _line(total(idle), "in all")
    yield _line(total_without_free(idle), f"in all, where {_free(idle)} are used up elsewhere in the account")
    yield "Drawing adds:"
    yield _line(drawing.dollars, f"{drawing.what} ({drawing.basis})")


def _free(idle: Sequence[Line]) -> str:
    """What is free for good, with its price."""
    named = ((line.what.partition(",")[0], line.waived) for line in idle if line.waived)
    return " and ".join(f"the free {what} (${waived:.2f})" for what, waived in named)


def _line(dollars: float | None, what: str) -> str:
    return f"  ${dollars:7.2f}  {what}" if dollars is not None else f"   unknown  {what}"


def _region(context: Context) -> str:
    """Asked for, looked up last, or as AWS's own tools find it; else the table's. No call."""
    known = None if context.arguments.refresh else context.prices
    try:
        return context.arguments.region or (known.region if known else context.clients.region)
    except EndpointError:
        return TABLE_REGION


def _refreshed(context: Context, region: str) -> LookedUp | None:
    """Today's prices, kept for every later estimate; those there are where AWS cannot be asked."""
    kind = context.settings.types[0]
    day = datetime.fromtimestamp(time.time(), tz=UTC).strftime("%Y-%m-%d")
    try:
        looked = look_up(context.clients["pricing"], region=region, day=day)
    except (BotoCoreError, ClientError) as error:
        context.tell(f"AWS's price API could not be asked ({type(error).__name__}); nothing was changed")
        return context.prices
    if not (looked.hourly or looked.rates):
        context.tell(f"AWS's price list has nothing of {region}; is it a region? Nothing was changed")
        return context.prices
    write_prices(looked)
    found = (
        f"{len(looked.hourly)} prices of instances in {region} and {len(looked.rates)} of {len(RATES)} others"
    )
    context.tell(f"{found} are in {FILE}")
    if kind in looked.hourly:
        hourly = looked.hourly[kind]
        context.tell(f"for the bot's own estimates deploy with IMAGINE_DOLLARS_PER_HOUR={hourly:g}")
    return looked
