"""`imagine jobs list|show|retry|fail`: jobs of a deployed stage, or of this machine with --home."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bot.domain.job import Job, Outcome, State, state_of
from bot.services.core import Core
from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.place import endpoint_name
from infra.operating import job_rows
from infra.operating.job_rows import ENDINGS, TIMES, Row
from infra.operating.workstation import deployed_core, local_core

Verb = Callable[[argparse.Namespace], int]


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="jobs under way, the most overdue first")
    listed.add_argument("--person", metavar="TENANT/USER", help="one person's, also those that are over")
    listed.add_argument("--state", choices=[state.value for state in State], help="only those in one state")
    listed.add_argument("--late", action="store_true", help="only those whose timer nobody has answered")
    listed.add_argument(
        "--limit", type=_count, default=200, metavar="N", help="at most (default: %(default)s)"
    )
    shown = verbs.add_parser("show", help="facts and timers of one job")
    retried = verbs.add_parser("retry", help="have a worker look at it now; changes no fact")
    failed = verbs.add_parser("fail", help="end an undecided job; its person is told")
    failed.add_argument(
        "--outcome",
        choices=[outcome.value for outcome in ENDINGS],
        default=Outcome.INTERRUPTED.value,
        help="as which (default: %(default)s)",
    )
    for parser, run in ((listed, run_list), (shown, run_show), (retried, run_retry), (failed, run_fail)):
        if parser is not listed:
            parser.add_argument("id", metavar="ID", help="of the job, as imagine jobs list prints it")
        parser.add_argument("--home", type=Path, metavar="DIR", help="one machine's IMAGINE_HOME, not AWS")
        add_options(parser, yes=parser in (retried, failed))
        parser.set_defaults(run=telling(parser.prog.partition(" ")[2], run))


def run_list(arguments: argparse.Namespace) -> int:
    """Print them, late ones marked."""
    with _core(arguments) as core:
        found = (
            job_rows.of_person(core, arguments.person, limit=arguments.limit)
            if arguments.person
            else job_rows.under_way(core, limit=arguments.limit)
        )
    chosen = [row for row in found if _is_wanted(row, arguments)]
    if arguments.json:
        print(json.dumps([{**dataclasses.asdict(row), "late": row.is_late} for row in chosen]))
        return 0
    for row in chosen:
        print(_line(row))
    late = sum(row.is_late for row in chosen)
    print(f"{len(chosen)} jobs, {late} of them late" if chosen else "no jobs")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print the row and what the endpoint wrote for it. Raises NoSuchJob."""
    with _core(arguments) as core:
        job = job_rows.job_row(core, arguments.id)
        facts = job_rows.facts_of(job, now=core.clock.now(), times=core.times)
        facts["objects"] = job_rows.stored_objects(core, job)
        now = core.clock.now()
    if arguments.json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        if value not in (None, "", []):
            print(f"{name:<19} {_told(name, value, now)}")
    return 0


def run_retry(arguments: argparse.Namespace) -> int:
    """Raises NoSuchJob, WrongMoment."""
    context = Context(arguments)
    with _core(arguments) as core:
        context.confirm(f"Have a worker look at job {arguments.id} now?")
        job = job_rows.retry(core, arguments.id)
    return _finish(arguments, job, "a worker looks at it now")


def run_fail(arguments: argparse.Namespace) -> int:
    """Raises NoSuchJob, WrongMoment."""
    context = Context(arguments)
    with _core(arguments) as core:
        context.confirm(f"End job {arguments.id} as {arguments.outcome}? A drawing under way is discarded.")
        job = job_rows.fail(core, arguments.id, Outcome(arguments.outcome))
    return _finish(arguments, job, f"ended as {arguments.outcome}; its person is told")


def _count(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


@contextmanager
def _core(arguments: argparse.Namespace) -> Iterator[Core]:
    if arguments.home is not None:
        with local_core(arguments.home) as core:
            yield core
        return
    endpoint_name(arguments.stage)
    yield deployed_core(Context(arguments).clients, stage=arguments.stage)


def _is_wanted(row: Row, arguments: argparse.Namespace) -> bool:
    if arguments.late and not row.is_late:
        return False
    return arguments.state is None or row.state == arguments.state


def _line(row: Row) -> str:
    due = "no timer" if row.due_in is None else f"due {_span(row.due_in)}"
    late = "  LATE" if row.is_late else ""
    tries = f"  {row.attempts} failed tries" if row.attempts else ""
    return f"{row.id}  {row.state:<10} {row.outcome:<15} {_span(-row.age):>12}  {due}{tries}{late}"


def _told(name: str, value: object, now: float) -> str:
    if (name in TIMES or name == "next_step_at") and isinstance(value, float | int):
        return f"{datetime.fromtimestamp(value, tz=UTC):%Y-%m-%d %H:%M:%S} ({_span(value - now)})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(part) for part in value)
    return str(value)


def _span(seconds: float) -> str:
    size = abs(seconds)
    unit, length = next(
        ((unit, length) for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)) if size >= length),
        ("s", 1.0),
    )
    told = f"{size / length:.0f} {unit}"
    return f"in {told}" if seconds >= 0 else f"{told} ago"


def _finish(arguments: argparse.Namespace, job: Job, sentence: str) -> int:
    if arguments.json:
        print(json.dumps({"outcome": "changed", "id": job.id, "state": state_of(job).value}))
    else:
        print(f"{job.id}: {sentence}")
    return 0
