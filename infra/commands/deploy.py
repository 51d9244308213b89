"""`imagine deploy`: pack the functions and deploy serverless.yml with the pinned osls. The endpoint comes
afterwards.
"""

import argparse
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra import function_zip
from infra.commands.endpoint.shared import STAGE, Parsers
from infra.commands.outcome import telling
from infra.docs import ROOT
from infra.endpoint.errors import EndpointError
from infra.endpoint.place import endpoint_name

TEAM = re.compile(r"[TE][A-Z0-9]{2,20}")
SUFFIX = re.compile(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]")


class CannotDeploy(EndpointError):
    """Something is missing here; nothing was sent to AWS."""


def register(commands: Parsers) -> None:
    """Add the command."""
    parser = commands.add_parser("deploy", help="pack the functions and deploy serverless.yml")
    parser.add_argument("--stage", default=STAGE, help="what to deploy (default: %(default)s)")
    parser.add_argument("--region", default="us-east-1", help="AWS region (default: %(default)s)")
    parser.add_argument(
        "--suffix", help="makes the bucket's name unique in the world, such as your team's name"
    )
    parser.add_argument("--team", help="Slack workspace id, T… (default: SLACK_TEAM_ID)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be run, and do nothing")
    parser.set_defaults(run=telling("deploy", run))


def run(arguments: argparse.Namespace) -> int:
    """Osls's own exit status, 0 or 1. Raises CannotDeploy naming what is missing and the fix."""
    environment = dict(os.environ)  # noqa: TID251  osls inherits PATH and AWS's own settings
    team = _team(arguments.team or environment.get("SLACK_TEAM_ID", ""))
    command = command_for(arguments, osls=_osls())
    if arguments.dry_run:
        print(" ".join(command))
        return 0
    _pack()
    print(
        f"deploying stage {arguments.stage} to {arguments.region}; the idle service costs about $2 a month",
        flush=True,
    )
    ended = subprocess.run(command, cwd=ROOT, env=environment_of(environment, team), check=False)
    if ended.returncode:
        raise CannotDeploy("osls did not deploy; its last lines say why. Mend that and run this again")
    print(f"deployed; now: imagine endpoint apply --stage {arguments.stage} --region {arguments.region}")
    return 0


def _pack() -> None:
    """Write the functions' zip. Raises CannotDeploy where a pinned package cannot be had."""
    try:
        function_zip.main([])
    except subprocess.CalledProcessError as failed:
        raise CannotDeploy(
            "the functions' packages could not be fetched; nothing was sent to AWS. Try again when pip can"
        ) from failed


def command_for(arguments: argparse.Namespace, *, osls: Path) -> list[str]:
    """The line that deploys. Raises CannotDeploy, EndpointError."""
    endpoint_name(arguments.stage)
    if not arguments.suffix or not SUFFIX.fullmatch(arguments.suffix):
        raise CannotDeploy(
            "the bucket needs a name of its own: add --suffix yourteam, in small letters and digits"
        )
    options = ["--stage", arguments.stage, "--region", arguments.region]
    return [str(osls), "deploy", *options, "--param", f"suffix={arguments.suffix}"]


def environment_of(environment: Mapping[str, str], team: str) -> dict[str, str]:
    """What osls runs with: nothing is told to its makers."""
    return {**environment, "SLACK_TEAM_ID": team, "SLS_TELEMETRY_DISABLED": "1"}


def _team(told: str) -> str:
    if not TEAM.fullmatch(told):
        raise CannotDeploy(
            "the Slack workspace is not known: add --team T0123456789, from app.slack.com/client/T…"
        )
    return told


def _osls() -> Path:
    """The tool that package-lock.json pins, in this checkout."""
    tool = ROOT / "node_modules" / ".bin" / "osls"
    if tool.exists():
        return tool
    if shutil.which("npm") is None:
        raise CannotDeploy("Node.js 20 or newer with npm is needed; install it, then run npm ci here")
    raise CannotDeploy(f"the pinned tool is not installed; run npm ci in {ROOT.name}, then this again")
