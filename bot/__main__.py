"""`python -m bot serve`: the bot on one machine: Socket Mode or signed HTTP requests, and the HTTP API."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from bot import config
from bot.bootstrap import build_door, quiet_libraries
from bot.domain.errors import BotError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 when it failed, with a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m bot")
    serving = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("serve", help="run the bot")
    serving.add_argument("--config", type=Path, help="settings file (TOML)")
    serving.add_argument("--http-api", type=int, metavar="PORT", help="serve the HTTP API on 127.0.0.1 too")
    arguments = parser.parse_args(argv)
    try:
        return serve(arguments.config, api_port=arguments.http_api)
    except BotError as failed:
        print(f"bot: {failed}", file=sys.stderr)
        return 1


def serve(file: Path | None = None, *, api_port: int | None = None) -> int:
    """Serve until SIGINT or SIGTERM: Slack, and the HTTP API where a port is given here or in the settings.

    Raises ConfigError naming a missing setting, PeerError without Slack.
    """
    quiet_libraries()
    typed = {} if api_port is None else {"IMAGINE_API_PORT": str(api_port)}
    door = build_door(config.load(file=file, typed=typed))
    ended = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda _number, _frame: ended.set())
    door.open()
    print("the bot is ready", flush=True)
    ended.wait()
    door.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
