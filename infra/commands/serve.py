"""`imagine serve`: the bot on one machine, with a real workspace over Socket Mode."""

import argparse
from pathlib import Path

from bot.__main__ import serve


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("serve", help="run the bot on this machine (Socket Mode)")
    parser.add_argument("--config", type=Path, help="settings file (TOML); the environment wins over it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C. Raises ConfigError when a token is missing."""
    return serve(arguments.config)
