"""The `imagine` command line: one small module per command in `infra/commands`.

Exit status: 0 done, 1 failed, 2 bad usage (design.md section 4).
"""

import argparse
import sys
from collections.abc import Sequence

from bot.domain.errors import BotError, ConfigError
from infra.commands import (
    config,
    demo,
    deploy,
    dlq,
    doctor,
    draw,
    endpoint,
    iam,
    image,
    jobs,
    keys,
    logs,
    models,
    quota,
    remove,
    secrets,
    serve,
    slack,
    smoke,
    train,
)

DONE, FAILED, BAD_USAGE = 0, 1, 2
COMMANDS = (
    demo,
    draw,
    serve,
    models,
    train,
    image,
    deploy,
    remove,
    secrets,
    endpoint,
    quota,
    doctor,
    jobs,
    keys,
    logs,
    dlq,
    smoke,
    slack,
    iam,
    config,
)


def parser() -> argparse.ArgumentParser:
    """The whole command line, also for the tests that run every `--help`."""
    top = argparse.ArgumentParser(
        prog="imagine", description="Draw pictures with Stable Diffusion from Slack."
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as wrong:
        print(f"imagine: {wrong}", file=sys.stderr)
        return BAD_USAGE
    except BotError as failed:
        print(f"imagine: {type(failed).__name__}: {failed}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
