"""`imagine models …`: one module per verb, each with `add_parser` and a run that returns the exit status."""

import argparse
import json
import sys
from collections.abc import Callable

from infra.commands.models import (
    add,
    convert,
    diff,
    download,
    edit,
    fetch,
    init,
    inspect,
    list_releases,
    pack,
    publish,
    remove,
    upload,
    verify,
)
from model_packaging.errors import PackagingError

VERBS = (
    init,
    inspect,
    verify,
    convert,
    fetch,
    pack,
    upload,
    list_releases,
    diff,
    download,
    remove,
    add,
    edit,
    publish,
)

Run = Callable[[argparse.Namespace], int]


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    group.set_defaults(run=run)
    for parser in verbs.choices.values():
        parser.set_defaults(verb_run=parser.get_default("run"), run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the verb; what it refuses is told on one line, or as JSON."""
    chosen: Run = arguments.verb_run
    try:
        return chosen(arguments)
    except PackagingError as failed:
        return _told(arguments, str(failed))
    except BrokenPipeError:
        raise
    except OSError as failed:
        where = failed.filename or "this machine"
        return _told(arguments, f"{where}: {failed.strerror or failed}; look at the disk and its rights")


def _told(arguments: argparse.Namespace, reason: str) -> int:
    if getattr(arguments, "json", False):
        print(json.dumps({"outcome": "failed", "reason": reason}))
    else:
        print(f"imagine models {arguments.verb}: {reason}", file=sys.stderr)
    return 1
