"""plan, apply, update, delete: the verbs that change the account, or say what would change."""

import argparse
import dataclasses
import json
from collections.abc import Sequence

from bot.domain.instance_prices import price_of
from infra.commands.endpoint.drawing import prove
from infra.commands.endpoint.shared import Context, Parsers, add_options
from infra.endpoint import deletion
from infra.endpoint.place import find_place
from infra.endpoint.plan import Action, Step, apply, clean, plan
from infra.endpoint.preflight import check_buckets, preflight
from infra.endpoint.update import update
from infra.endpoint.wanted import Wanted

PENDING = 3
SIGNS = {Action.KEEP: " ", Action.MAKE: "+", Action.CHANGE: "~", Action.REMOVE: "-"}


def add_parsers(verbs: Parsers) -> None:
    planned = verbs.add_parser("plan", help="say what apply would do; changes nothing")
    planned.add_argument("--check", action="store_true", help="exit with 3 when there is something to do")
    planned.set_defaults(run=run_plan)
    add_options(planned, file=True)
    applied = verbs.add_parser("apply", help="make the endpoint as the file says")
    applied.set_defaults(run=run_apply)
    add_options(applied, file=True, yes=True)
    updated = verbs.add_parser("update", help="apply, draw a picture, and go back where it draws none")
    updated.set_defaults(run=run_update)
    add_options(updated, file=True, yes=True)
    deleted = verbs.add_parser("delete", help="remove the endpoint and what belongs to it")
    deleted.add_argument(
        "--all", action="store_true", help="also the roles and the project of trainings and image builds"
    )
    deleted.set_defaults(run=run_delete)
    add_options(deleted, yes=True)


def run_plan(arguments: argparse.Namespace) -> int:
    """Print the differences. With --check: 0 nothing to do, 3 changes pending."""
    context = Context(arguments)
    goal = context.goal()
    steps = plan(goal, context.clients)
    pending = [step for step in steps if step.action is not Action.KEEP]
    check_buckets(goal, context.clients)
    if arguments.json:
        print(json.dumps({"outcome": "pending" if pending else "unchanged", "steps": _told(steps)}))
    else:
        _show(steps)
        print(_price(context, goal) if pending else "nothing to do")
    return PENDING if pending and arguments.check else 0


def run_apply(arguments: argparse.Namespace) -> int:
    """Show, ask, do. A second run does nothing; one after an interruption does the rest."""
    context = Context(arguments)
    goal = context.goal()
    if not _agreed(context, goal):
        return 0
    done = apply(goal, context.clients, waits=context.waits, told=lambda step: _tell(context, step))
    done += clean(goal, context.clients, told=lambda step: _tell(context, step))
    return _finish(context, done)


def run_update(arguments: argparse.Namespace) -> int:
    """As apply, and the former endpoint again where the new one draws nothing."""
    context = Context(arguments)
    goal = context.goal()
    if not _agreed(context, goal):
        return 0
    done = update(
        goal,
        context.clients,
        waits=context.waits,
        prove=lambda: prove(context),
        told=lambda step: _tell(context, step),
    )
    return _finish(context, done)


def run_delete(arguments: argparse.Namespace) -> int:
    """Name what goes and what stays, ask, remove."""
    context = Context(arguments)
    # What is removed needs no bucket, and the stack may have gone before its endpoint.
    place = find_place(context.clients, stage=arguments.stage, otherwise="")
    everything: bool = arguments.all
    found = [removal.step for removal in deletion.removals(place, context.clients, everything=everything)]
    if not arguments.json:
        _show(found)
        print(
            "stays, and goes on billing:", *(deletion.STAYS if place.bucket else deletion.ALONE), sep="\n    "
        )
    if not (arguments.json or everything):
        print("stays, and costs nothing:", deletion.FREE, sep="\n    ")
    if not found:
        return _finish(context, ())
    context.confirm(f"Remove these {len(found)}? What waits in the endpoint's queue is lost.")
    done = deletion.delete(
        place,
        context.clients,
        waits=context.waits,
        everything=everything,
        told=lambda step: _tell(context, step),
    )
    return _finish(context, done)


def _agreed(context: Context, goal: Wanted) -> bool:
    """Whether there is something to do, and somebody wants it. Raises NotConfirmed."""
    steps = plan(goal, context.clients)
    if all(step.action is Action.KEEP for step in steps):
        _finish(context, ())
        return False
    preflight(goal, context.clients, steps)
    if not context.arguments.json:
        _show(steps)
    context.tell(_price(context, goal))
    context.confirm("Go on?")
    return True


def _price(context: Context, goal: Wanted) -> str:
    kind = goal.settings.types[0]
    hour = price_of(kind, region=goal.place.region, known=context.prices).of(1)
    idle = goal.settings.idle_minutes or 15
    return (
        f"An instance ({kind}) costs {hour} an hour. It starts now, ends after {idle} idle minutes, and "
        f"starts again for the next drawing; at most {goal.settings.max_instances} run at once."
    )


def _show(steps: Sequence[Step]) -> None:
    for step in steps:
        print(f"{SIGNS[step.action]} {step.kind:<16} {step.name}")
        for difference in step.differences:
            print(f"      {difference.path}: {_short(difference.live)} -> {_short(difference.wanted)}")


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _tell(context: Context, step: Step) -> None:
    context.tell(f"{SIGNS[step.action]} {step.kind} {step.name}")


def _finish(context: Context, done: Sequence[Step]) -> int:
    if context.arguments.json:
        print(json.dumps({"outcome": "changed" if done else "unchanged", "steps": _told(done)}))
    else:
        print(f"done, {len(done)} changes" if done else "nothing to do")
    return 0


def _told(steps: Sequence[Step]) -> list[dict[str, object]]:
    return [dataclasses.asdict(step) for step in steps]
