"""cost: what a month costs, idle and drawing, line by line."""

import argparse
import dataclasses
import json

from infra.commands.endpoint.shared import Context, Parsers, add_options
from infra.endpoint.cost import MODELS_GB, drawing_month, idle_month


def add_parsers(verbs: Parsers) -> None:
    cost = verbs.add_parser("cost", help="what a month costs, line by line; asks AWS nothing")
    cost.add_argument("--models-gb", type=float, default=MODELS_GB, help="models kept (default: %(default)s)")
    cost.add_argument("--pictures", type=int, default=2000, help="a month (default: %(default)s)")
    cost.add_argument(
        "--seconds", type=float, default=5.0, help="GPU seconds a picture (default: %(default)s)"
    )
    cost.add_argument("--wakes", type=int, default=60, help="a month (default: %(default)s)")
    cost.set_defaults(run=run)
    add_options(cost, file=True)


def run(arguments: argparse.Namespace) -> int:
    """Every amount says what it rests on."""
    settings = Context(arguments).settings
    idle = idle_month(models_gb=arguments.models_gb)
    drawing, price = drawing_month(
        settings,
        pictures=arguments.pictures,
        seconds=arguments.seconds,
        wakes=arguments.wakes,
        region=arguments.region or "us-east-1",
    )
    total = sum(line.dollars for line in idle)
    if arguments.json:
        lines = [dataclasses.asdict(line) for line in idle]
        told = {"idle": lines, "idle_total": total, "drawing": dataclasses.asdict(drawing)}
        print(json.dumps({**told, "price_basis": price.basis}))
        return 0
    print("A month without a drawing (us-east-1 prices of 2026-08, free amounts not counted):")
    for line in idle:
        print(f"  ${line.dollars:7.2f}  {line.what}")
    print(f"  ${total:7.2f}  in all")
    print(f"Drawing adds:\n  ${drawing.dollars:7.2f}  {drawing.what} ({price.basis})")
    return 0
