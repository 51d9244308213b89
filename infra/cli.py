"""The `imagine` command line: one small module per command in `infra/commands`.

Exit status: 0 done, 1 failed, 2 bad usage (design.md section 4).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from bot.domain.errors import BotError, ConfigError

DONE, FAILED, BAD_USAGE = 0, 1, 2
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
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words[:1]).parse_args(words)
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
