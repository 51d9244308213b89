"""`imagine dlq list|redrive`: what no function could take, why, and sending it where it came from again."""

import argparse
import dataclasses
import json
import time

from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.place import endpoint_name
from infra.operating.dead_letters import EVENTS, NUDGES, DeadLetters, Fate, Letter, Queue, Redriven


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="how many, how old, and what each is; no prompts")
    redriven = verbs.add_parser("redrive", help="send each where it came from, once; what fails again stays")
    for parser, run in ((listed, run_list), (redriven, run_redrive)):
        parser.add_argument(
            "--queue", metavar="NAME", help=f"{NUDGES}, {EVENTS}, … (default: every dead-letter queue)"
        )
        add_options(parser, yes=parser is redriven)
        parser.set_defaults(run=telling(parser.prog.partition(" ")[2], run))


def run_list(arguments: argparse.Namespace) -> int:
    """Counts, ages and kinds. Raises NoSuchQueue."""
    letters = _dead_letters(arguments)
    found = {queue: letters.letters(queue) for queue in _queues(letters, arguments)}
    if arguments.json:
        print(
            json.dumps(
                [
                    {"queue": queue.name, "letters": [dataclasses.asdict(letter) for letter in lying]}
                    for queue, lying in found.items()
                ]
            )
        )
        return 0
    for queue, lying in found.items():
        print(f"{queue.name}: {len(lying) or 'nothing'}")
        for letter in lying:
            print(f"  {_line(letter)}")
    return 0


def run_redrive(arguments: argparse.Namespace) -> int:
    """1 when something stayed. Raises NoSuchQueue."""
    context, letters = Context(arguments), _dead_letters(arguments)
    queues = [queue for queue in _queues(letters, arguments) if queue.count]
    if not queues:
        return _finish(arguments, [])
    names = ", ".join(f"{queue.name} ({queue.count})" for queue in queues)
    context.confirm(f"Send again what lies in {names}? What was done already changes nothing.")
    done = [
        redriven
        for queue in queues
        for redriven in letters.redrive(queue, told=lambda one: context.tell(_told(one)))
    ]
    return _finish(arguments, done)


def _dead_letters(arguments: argparse.Namespace) -> DeadLetters:
    endpoint_name(arguments.stage)
    return DeadLetters(Context(arguments).clients, stage=arguments.stage)


def _queues(letters: DeadLetters, arguments: argparse.Namespace) -> list[Queue]:
    return [letters.queue(arguments.queue)] if arguments.queue else letters.queues()


def _line(letter: Letter) -> str:
    minutes = (time.time() - letter.sent_at) / 60
    whose = f"{letter.function}: " if letter.function else ""
    job = f" of job {letter.job}" if letter.job else ""
    cause = f" ({letter.cause})" if letter.cause else ""
    again = ", redriven once" if letter.redriven else ""
    return f"{minutes:6.0f} min  {whose}{letter.kind}{job}{cause}{again}"


def _told(redriven: Redriven) -> str:
    return f"{redriven.fate:<11} {_line(redriven.letter).strip()}: {redriven.why}"


def _finish(arguments: argparse.Namespace, done: list[Redriven]) -> int:
    staying = sum(redriven.fate is Fate.STAYS for redriven in done)
    if arguments.json:
        print(
            json.dumps(
                {"outcome": "partly" if staying else "done", "letters": [_as_json(one) for one in done]}
            )
        )
    elif not done:
        print("nothing to redrive")
    else:
        print(f"{len(done) - staying} redriven, {staying} stay")
    return 1 if staying else 0


def _as_json(redriven: Redriven) -> dict[str, object]:
    return {"fate": redriven.fate, "why": redriven.why, **dataclasses.asdict(redriven.letter)}
