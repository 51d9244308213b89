"""`imagine endpoint …`: the SageMaker endpoint of a stage, from a file to a picture and back to nothing."""

import argparse
import json
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.errors import BotError, ConfigError
from infra.commands.endpoint import changing, costing, drawing, looking, warming

Run = Callable[[argparse.Namespace], int]
GROUPS = (changing, looking, drawing, warming, costing)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the group."""
    group = commands.add_parser(
        "endpoint", help="make, look at, test, warm and delete the SageMaker endpoint"
    )
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in GROUPS:
        verb.add_parsers(verbs)
    for parser in verbs.choices.values():
        parser.set_defaults(verb_run=parser.get_default("run"), run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the verb; what it refuses is told on one line, or as JSON."""
    chosen: Run = arguments.verb_run
    try:
        return chosen(arguments)
    except ConfigError:
        raise
    except (BotError, BotoCoreError, ClientError) as failed:
        sentence = sentence_of(failed)
        if getattr(arguments, "json", False):
            print(json.dumps({"outcome": "failed", "reason": sentence}))
        else:
            print(f"imagine endpoint {arguments.verb}: {sentence}", file=sys.stderr)
        return 1


def sentence_of(failed: Exception) -> str:
    """AWS's own refusals with the action that is missing and what grants it."""
    if not isinstance(failed, ClientError):
        return str(failed)
    error = failed.response["Error"]
    if error["Code"] in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}:
        fix = "imagine iam deployer-policy prints what is needed"
        return f"AWS does not allow {failed.operation_name}: {error['Message']}; {fix}"
    if error["Code"] == "ResourceLimitExceeded":
        return f"{error['Message']} Ask for it with imagine quota request."
    return f"{failed.operation_name}: {error['Message']}"
