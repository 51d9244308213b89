"""How a command ends: done, or refused on one line, or as JSON."""

import argparse
import json
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.errors import BotError, ConfigError
from infra.commands.endpoint import sentence_of

Run = Callable[[argparse.Namespace], int]


def telling(name: str, run: Run) -> Run:
    """`run` with what it refuses told; `name` is the command as a person types it."""

    def told(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except ConfigError:
            raise
        except (BotError, BotoCoreError, ClientError) as failed:
            if getattr(arguments, "json", False):
                print(json.dumps({"outcome": "failed", "reason": sentence_of(failed)}))
            else:
                print(f"imagine {name}: {sentence_of(failed)}", file=sys.stderr)
            return 1

    return told
