"""`imagine endpoint …`: the SageMaker endpoint of a stage, from a file to a picture and back to nothing."""

import argparse
import sys

from infra.commands.endpoint import changing, costing, drawing, looking, warming
from infra.commands.outcome import Run, telling

GROUPS = (changing, looking, drawing, warming, costing)


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs; what a verb refuses is told on one line, or as JSON."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    for each in GROUPS:
        each.add_parsers(verbs)
    for verb, parser in verbs.choices.items():
        parser.set_defaults(run=telling(f"endpoint {verb}", _interruptible(parser.get_default("run"))))


def _interruptible(run: Run) -> Run:
    """Ctrl-C is no error: what AWS was told goes on, and the same line again finds it."""

    def ran(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except KeyboardInterrupt:
            print("\ninterrupted; the same line goes on from here", file=sys.stderr)
            return 1

    return ran
