"""`imagine doctor`: everything a picture depends on, looked at and not changed; each failure with its fix."""

import argparse
import json
import time
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from bot.config import load
from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.doctor.checks import checks
from infra.doctor.finding import Finding, State, examine
from infra.doctor.sight import Sight
from infra.endpoint.place import endpoint_name

PATIENCE_SECONDS = 10.0
MOST_BYTES = 1_000_000
SIGNS = {State.OK: "ok  ", State.NOTE: "note", State.BLOCKED: "FAIL", State.SKIPPED: "  - "}
PICTURE = 'imagine endpoint test "a red fox" --stage'


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--next", action="store_true", help="only the one next command until the first picture"
    )
    add_options(parser, file=True)
    parser.set_defaults(run=telling("doctor", run))


def run(arguments: argparse.Namespace) -> int:
    """1 when something blocks."""
    endpoint_name(arguments.stage)
    sight = Sight(
        stage=arguments.stage,
        file=arguments.file,
        clients=Context(arguments).clients,
        config=load(),
        fetch=fetch,
        now=time.time(),
    )
    found = examine(checks(arguments.stage), sight)
    is_blocked = any(finding.state is State.BLOCKED for finding in found.values())
    following = next_command(found, stage=arguments.stage)
    if arguments.json:
        print(
            json.dumps(
                {"outcome": "blocked" if is_blocked else "ok", "next": following, "checks": _told(found)}
            )
        )
    elif arguments.next:
        print(following)
    else:
        _show(found, following)
    return 1 if is_blocked else 0


def next_command(found: Mapping[str, Finding], *, stage: str) -> str:
    """The first fix of what blocks, else the command that draws."""
    fixes = (finding.fix for finding in found.values() if finding.state is State.BLOCKED and finding.fix)
    return next(fixes, f"{PICTURE} {stage}")


def fetch(url: str, headers: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
    """Read an address; a token leaves this machine only encrypted. Raises OSError."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
        raise OSError(f"{parts.scheme}://{parts.hostname} is not encrypted")
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310  the scheme is checked above
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  as above
        return dict(answer.headers.items()), answer.read(MOST_BYTES)


def _show(found: Mapping[str, Finding], following: str) -> None:
    for name, finding in found.items():
        print(f"{SIGNS[finding.state]}  {name:<15} {finding.what}")
        if finding.fix:
            print(f"{'':<22}fix: {finding.fix}")
    print(f"next: {following}")


def _told(found: Mapping[str, Finding]) -> list[dict[str, str]]:
    return [
        {"check": name, "state": finding.state, "what": finding.what, "fix": finding.fix}
        for name, finding in found.items()
    ]
