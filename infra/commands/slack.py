"""`imagine slack manifest`: the app, to be pasted once at api.slack.com/apps."""

import argparse
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from infra.commands.outcome import telling
from infra.manifest_check import ManifestError, check_manifest
from infra.slack_manifest import manifest


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    written = verbs.add_parser("manifest", help='paste it at api.slack.com/apps, "from a manifest"')
    how = written.add_mutually_exclusive_group()
    how.add_argument("--url", help="the deployed bot's address (https://…/slack/events)")
    how.add_argument(
        "--socket-mode", action="store_true", help="no address: the bot connects by itself (the default)"
    )
    written.add_argument("-o", "--output", type=Path, metavar="FILE", help="a file instead of the screen")
    written.add_argument("--json", action="store_true", help="the manifest is JSON anyway")
    written.set_defaults(run=telling("slack manifest", run))


def run(arguments: argparse.Namespace) -> int:
    """Raises ManifestError for an address that Slack would not call."""
    if arguments.url is not None:
        check_url(arguments.url)
    made = manifest(arguments.url)
    check_manifest(made)
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    if arguments.output is None:
        print(text, end="")
        return 0
    arguments.output.write_text(text, encoding="utf-8")
    print(f"wrote {arguments.output}; paste it at https://api.slack.com/apps?new_app=1", file=sys.stderr)
    return 0


def check_url(url: str) -> None:
    """Raises ManifestError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ManifestError(f"--url must be an https address such as https://…/slack/events, not {url}")
