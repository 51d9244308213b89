"""The `imagine` command line: one small module per command in `infra/commands`.

Exit status: 0 done, 1 failed, 2 bad usage (design.md section 4), 141 when whoever read the output went away,
as `| head` does: what a shell tells of any program that a closed pipe ended.
"""

import argparse
import io
import os
import select
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TextIO

from bot.domain.errors import BotError, ConfigError

DONE, FAILED, BAD_USAGE = 0, 1, 2
UNREAD = 141
COMMANDS: Mapping[str, str] = {
    "demo": "try it: a local Slack page, the bot and a small demo model",
    "draw": "draw into a folder, without Slack",
    "serve": "run the bot on this machine (Socket Mode)",
    "models": "know, check, pack and move model files",
    "train": "teach a LoRA from a folder of pictures, on SageMaker",
    "image": "build, try and push the container images",
    "deploy": "pack the functions and deploy serverless.yml",
    "remove": "take a stage away; its data stays unless you name it",
    "secrets": "store Slack's token and signing secret; list what is there",
    "endpoint": "make, look at, test, warm and delete the SageMaker endpoint",
    "quota": "show the quotas an endpoint and a training need; ask for more",
    "doctor": "look at everything a picture depends on; change nothing",
    "jobs": "what becomes of jobs; help a stuck one on. No prompts",
    "keys": "API keys of the HTTP API: create, list, revoke",
    "logs": "what a stage's functions wrote; prompts are never in there",
    "dlq": "messages that no function could take: look, or send again",
    "smoke": "try against the real thing what was taken on trust",
    "slack": "write what Slack is told about the app",
    "iam": "print what a person needs to deploy, without admin rights",
    "config": "show the settings",
}
"""Every command, which is a module of that name in `infra.commands`, and what it is for."""


def parser(commands: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The command line. All commands are named in it; those in `commands` are imported and can be parsed."""
    top = argparse.ArgumentParser(
        prog="imagine", description="Draw pictures with Stable Diffusion from Slack."
    )
    named = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = named.add_parser(name, help=purpose)
        if name in commands:
            import_module(f"infra.commands.{name}").fill(command)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    _spell_what_cannot_be_written()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except BrokenPipeError:
        if not _is_unread():
            raise
        return UNREAD


def _run(words: Sequence[str]) -> int:
    try:
        arguments = parser(words[:1]).parse_args(words)
        return int(arguments.run(arguments))
    except ConfigError as wrong:
        print(f"imagine: {wrong}", file=sys.stderr)
        return BAD_USAGE
    except BotError as failed:
        print(f"imagine: {type(failed).__name__}: {failed}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()  # here, and not at the exit, where nobody could handle a reader that is gone


def _spell_what_cannot_be_written() -> None:
    """A name beyond this terminal's letters is written with escapes: no reason to fail."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_unread() -> bool:
    """Whether it is our own output that nobody reads; then what is left of it goes nowhere."""
    unread = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and _is_closed(stream)]
    for stream in unread:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(unread)


def _is_closed(stream: TextIO) -> bool:
    asking = select.poll()
    asking.register(stream.fileno(), 0)
    return any(told & (select.POLLERR | select.POLLHUP) for _, told in asking.poll(0))


if __name__ == "__main__":
    sys.exit(main())
