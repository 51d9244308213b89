"""cost: what a month costs, idle and drawing, line by line."""

import argparse
import dataclasses
import json
import time
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.instance_prices import AS_OF, TABLE_REGION, LookedUp
from infra.commands.endpoint.shared import Context, Parsers, add_options
from infra.endpoint.cost import MODELS_GB, drawing_month, idle_month
from infra.endpoint.price_list import FILE, look_up, write_prices


def add_parsers(verbs: Parsers) -> None:
    cost = verbs.add_parser("cost", help="what a month costs, line by line; asks AWS nothing")
    cost.add_argument("--models-gb", type=float, default=MODELS_GB, help="models kept (default: %(default)s)")
    cost.add_argument("--pictures", type=int, default=2000, help="a month (default: %(default)s)")
    cost.add_argument(
        "--seconds", type=float, default=5.0, help="GPU seconds a picture (default: %(default)s)"
    )
    cost.add_argument("--wakes", type=int, default=60, help="a month (default: %(default)s)")
    cost.add_argument(
        "--refresh", action="store_true", help=f"ask AWS for today's prices first and keep them in {FILE}"
    )
    cost.set_defaults(run=run)
    add_options(cost, file=True)


def run(arguments: argparse.Namespace) -> int:
    """Every amount says what it rests on."""
    context = Context(arguments)
    prices = _refreshed(context) if arguments.refresh else context.prices
    idle = idle_month(models_gb=arguments.models_gb)
    drawing, price = drawing_month(
        context.settings,
        pictures=arguments.pictures,
        seconds=arguments.seconds,
        wakes=arguments.wakes,
        region=arguments.region or (prices.region if prices else TABLE_REGION),
        known=prices,
    )
    total = sum(line.dollars for line in idle)
    if arguments.json:
        lines = [dataclasses.asdict(line) for line in idle]
        told = {"idle": lines, "idle_total": total, "drawing": dataclasses.asdict(drawing)}
        print(json.dumps({**told, "price_basis": price.basis}))
        return 0
    print(f"A month without a drawing ({TABLE_REGION} prices of {AS_OF}, free only where it says so):")
    for line in idle:
        print(f"  ${line.dollars:7.2f}  {line.what}")
    print(f"  ${total:7.2f}  in all")
    print(f"Drawing adds:\n  ${drawing.dollars:7.2f}  {drawing.what} ({price.basis})")
    return 0


def _refreshed(context: Context) -> LookedUp | None:
    """Today's prices, kept for every later estimate; those there are where AWS cannot be asked."""
    region, kind = context.clients.region, context.settings.types[0]
    day = datetime.fromtimestamp(time.time(), tz=UTC).strftime("%Y-%m-%d")
    try:
        looked = look_up(context.clients["pricing"], region=region, day=day)
    except (BotoCoreError, ClientError) as error:
        context.tell(f"AWS's price API could not be asked ({type(error).__name__}); nothing was changed")
        return context.prices
    write_prices(looked)
    context.tell(f"{len(looked.hourly)} prices of {region} are in {FILE}")
    if kind in looked.hourly:
        hourly = looked.hourly[kind]
        context.tell(f"for the bot's own estimates deploy with IMAGINE_DOLLARS_PER_HOUR={hourly:g}")
    return looked
