"""Run a local Slack workspace by itself: ``python -m infra.local.slack --port 3000``."""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from infra.local.slack.server import LocalServer, Settings, build_server
from infra.slack_manifest import manifest as default_manifest


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C. The exit status: 0 ended, 2 the port is taken or the manifest is unreadable."""
    options = _parser().parse_args(arguments)
    try:
        server = build_server(_settings(options))
    except OSError as error:
        return _complain(
            f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}. Try --port with another number."
        )
    except ValueError as error:
        return _complain(str(error))
    _greet(server)
    with contextlib.suppress(KeyboardInterrupt):  # raised, or not where the starter ignores SIGINT
        asyncio.run(server.serve())
    print("ended")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local.slack", description=main.__doc__)
    parser.add_argument(
        "--port", type=int, default=3000, help="port on 127.0.0.1 (default 3000; 0 takes a free one)"
    )
    parser.add_argument(
        "--manifest", type=Path, help="the app's manifest as JSON (default: the built-in one)"
    )
    parser.add_argument(
        "--commands-url",
        help="the bot's address for commands and controls (default: none, the bot connects with Socket Mode)",
    )
    parser.add_argument("--seed", type=int, help="a number that makes generated ids repeat")
    parser.add_argument("--no-rate-limits", action="store_true", help="let the bot call as often as it likes")
    parser.add_argument(
        "--file-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long uploads take to become ready",
    )
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        manifest=_manifest(options.manifest, options.commands_url),
        port=options.port,
        enforce_rate_limits=not options.no_rate_limits,
        seed=options.seed,
        readiness_seconds=options.file_delay,
    )


def _manifest(path: Path | None, url: str | None) -> dict[str, Any]:
    """Raises ``ValueError`` with a sentence when the file is no manifest."""
    if path is None:
        return default_manifest(url)
    try:
        manifest: Any = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"cannot read the manifest {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON manifest: {error}") from None
    if not isinstance(manifest, dict) or "oauth_config" not in manifest:
        raise ValueError(f"{path} is no app manifest: it has no oauth_config")
    return dict(manifest)


def _greet(server: LocalServer) -> None:
    app, base_url = server.platform.app, server.platform.base_url
    print(f"workspace  {base_url}/")
    print(f"Web API    {base_url}/api/   bot token {app.bot_token}   app token {app.app_token}")
    print(f"signing    {app.signing_secret}")
    print(f"log        {base_url}/log", flush=True)


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
