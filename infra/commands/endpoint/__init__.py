"""`imagine endpoint …`: the SageMaker endpoint of a stage, from a file to a picture and back to nothing."""

import argparse

from infra.commands.endpoint import changing, costing, drawing, looking, warming
from infra.commands.outcome import telling

GROUPS = (changing, looking, drawing, warming, costing)


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs; what a verb refuses is told on one line, or as JSON."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    for each in GROUPS:
        each.add_parsers(verbs)
    for verb, parser in verbs.choices.items():
        parser.set_defaults(run=telling(f"endpoint {verb}", parser.get_default("run")))
