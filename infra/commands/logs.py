"""`imagine logs [FUNCTION]`: what a stage's functions and its endpoint wrote."""

import argparse
import dataclasses
import json
import sys
import time

from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.place import endpoint_name
from infra.operating.logs import (
    ENDPOINT,
    Line,
    LogReader,
    group_named,
    groups_of,
    is_metric,
    pattern_of,
    seconds_of,
)


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "function",
        nargs="?",
        metavar="FUNCTION",
        help="slack, worker, result, …, or endpoint (default: every function)",
    )
    parser.add_argument(
        "--since", default="10m", metavar="SPAN", help="30s, 10m, 2h, 1d (default: %(default)s)"
    )
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--request", metavar="ID", help="only lines of one Lambda request")
    parser.add_argument("--job", metavar="ID", help="only lines that name one job")
    add_options(parser)
    parser.set_defaults(run=telling("logs", run))


def run(arguments: argparse.Namespace) -> int:
    """Oldest first; one JSON object a line with --json. Raises OperatingError."""
    endpoint_name(arguments.stage)
    since = time.time() - seconds_of(arguments.since)
    pattern = pattern_of(request=arguments.request, job=arguments.job)
    clients = Context(arguments).clients
    groups = groups_of(clients, stage=arguments.stage)
    chosen = (
        [group_named(groups, arguments.function)]
        if arguments.function
        else [group for group in groups if group.source != ENDPOINT]
    )
    reader = LogReader(clients, chosen, pattern=pattern)
    if arguments.follow:
        for line in reader.follow(since=since, pause=time.sleep):
            _print(line, as_json=arguments.json)
    found = reader.lines(since=since)
    for line in found:
        _print(line, as_json=arguments.json)
    if not found and not arguments.json:
        print(f"no lines in the last {arguments.since}", file=sys.stderr)
    return 0


def _print(line: Line, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(line)), flush=True)
    elif not is_metric(line.text):
        print(line.told, flush=True)
