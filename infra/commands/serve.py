"""`imagine serve`: the bot on one machine, with a real workspace over Socket Mode, and the HTTP API."""

import argparse
from pathlib import Path

from bot.__main__ import serve

API_PORT = 8090


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--config", type=Path, help="settings file (TOML); the environment wins over it")
    parser.add_argument(
        "--http-api",
        type=int,
        nargs="?",
        const=API_PORT,
        metavar="PORT",
        help=f"serve the HTTP API too, on this port of 127.0.0.1 ({API_PORT} when none is given)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; without a Slack token the HTTP API alone. Raises ConfigError."""
    return serve(arguments.config, api_port=arguments.http_api)
