"""`imagine remove`: take a deployed stage away, and keep its data unless that is asked for by name."""

import argparse
import json
import sys

from infra.commands.endpoint.shared import Context, NotConfirmed, add_options
from infra.commands.outcome import telling
from infra.endpoint.place import endpoint_name
from infra.operating.removal import Inventory, remove_data, remove_service, take_inventory

GOES_ON_BILLING = (
    "what stays in the table and the bucket, by the gigabyte (docs/cost.md)",
    "images in ECR (aws ecr describe-repositories), and models in a bucket of their own",
)


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--data",
        action="store_true",
        help="also jobs, pictures, secrets and logs, for good; asks for the stage's name even with --yes",
    )
    add_options(parser, yes=True)
    parser.set_defaults(run=telling("remove", run))


def run(arguments: argparse.Namespace) -> int:
    """Name what goes and what stays, ask, remove. Raises StillInUse, NotConfirmed, OperatingError."""
    endpoint_name(arguments.stage)
    context = Context(arguments)
    inventory = take_inventory(context.clients, stage=arguments.stage)
    if inventory.is_empty or (not inventory.has_stack and not arguments.data):
        return _finish(arguments, inventory, "unchanged")
    if not arguments.json:
        _show(inventory, with_data=arguments.data)
    _ask(context, inventory)
    remove_service(context.clients, inventory, told=context.tell)
    if arguments.data:
        remove_data(context.clients, inventory, told=context.tell)
    return _finish(arguments, inventory, "removed")


def _show(inventory: Inventory, *, with_data: bool) -> None:
    for kind, count in sorted(inventory.made.items()):
        print(f"- {count:>3} {kind}")
    for kind, name in inventory.data:
        print(f"{'-' if with_data else ' '} {kind} {name}{'' if with_data else ' stays'}")
    if not with_data:
        print("goes on billing:", *GOES_ON_BILLING, sep="\n    ")


def _ask(context: Context, inventory: Inventory) -> None:
    if not context.arguments.data:
        context.confirm(f"Remove the service of stage {inventory.stage}, and keep its data?")
        return
    sys.stderr.write(f"This cannot be undone. Type the stage's name to delete its data ({inventory.stage}): ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != inventory.stage:
        raise NotConfirmed("that was not the stage's name; nothing was done")


def _finish(arguments: argparse.Namespace, inventory: Inventory, outcome: str) -> int:
    stays = [] if arguments.data and outcome == "removed" else [name for _, name in inventory.data]
    if arguments.json:
        print(json.dumps({"outcome": outcome, "stays": stays}))
    elif outcome == "unchanged":
        print(f"nothing of stage {inventory.stage} is deployed here")
        if stays:
            print(f"{', '.join(stays)} stayed of it: imagine remove --data --stage {inventory.stage}")
    else:
        print("removed")
        if stays:
            print(f"imagine deploy --stage {inventory.stage} takes the data in again")
    return 0
