"""`imagine deploy`: pack the functions and deploy serverless.yml with the pinned osls. The endpoint comes
afterwards.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bot.config import load, load_deployed
from bot.domain.errors import ConfigError
from bot.domain.instance_prices import bills_in_dollars
from infra import function_zip
from infra.commands.doctor import fetch, next_command
from infra.commands.endpoint.shared import STAGE, Context
from infra.commands.outcome import telling
from infra.docs import ROOT
from infra.doctor.checks import checks
from infra.doctor.finding import examine
from infra.doctor.sight import Sight
from infra.endpoint.cost import basis_of, idle_month, total
from infra.endpoint.errors import EndpointError
from infra.endpoint.place import endpoint_name
from infra.endpoint.settings import FILE, read_settings
from infra.operating.deployment import Address, Deployment, address_of, remember, remembered, subscribe
from infra.operating.stack_settings import StackSettings, deployable, parameter_mistake

STDERR = 2
TEAM = re.compile(r"[TE][A-Z0-9]{2,20}")
SUFFIX = re.compile(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]")
EMAIL = re.compile(r"[^\s@,;]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class CannotDeploy(EndpointError):
    """Something is missing here; nothing was sent to AWS."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--stage", default=STAGE, help="what to deploy (default: %(default)s)")
    parser.add_argument("--region", help="AWS region (default: as the AWS command line finds it)")
    parser.add_argument(
        "--suffix", help="makes the bucket's name unique in the world, such as your team's name"
    )
    parser.add_argument("--team", help="Slack workspace id, T… (default: SLACK_TEAM_ID)")
    parser.add_argument("--alarm-email", metavar="ADDRESS", help="who is told when an alarm goes off")
    parser.add_argument(
        "--ops-channel",
        metavar="ADDRESS",
        help="a Slack channel's own e-mail address, where alarms are shown too (its details, Integrations)",
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of serverless.yml, such as alarms=many; may be repeated",
    )
    parser.add_argument(
        "--file",
        type=Path,
        default=FILE,
        help="path and boundary of roles, and tags, are the endpoint's (default: %(default)s)",
    )
    parser.add_argument(
        "--platform",
        choices=function_zip.PLATFORMS,
        default="aws",
        help="whose packages: Lambda's, or this machine's for a rehearsal on it (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be run, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="for programs: JSON at the end")
    parser.set_defaults(run=telling("deploy", run))


def run(arguments: argparse.Namespace) -> int:
    """What a stage was deployed with before needs not be said again.

    Raises CannotDeploy, SettingsError naming what is missing and the fix.
    """
    environment = dict(os.environ)  # noqa: TID251  osls inherits PATH and AWS's own settings
    endpoint_name(arguments.stage)
    context, given = Context(arguments), given_by(arguments, environment)
    arguments.region = arguments.region or context.clients.region
    earlier = Deployment() if arguments.dry_run and given.suffix and given.team else _earlier(context)
    deployment = check(given.over(earlier), earlier)
    settings = _settings(arguments)
    command = command_for(deployment, settings, stage=arguments.stage, region=arguments.region, osls=_osls())
    if arguments.dry_run:
        print(shlex.join(command))
        return 0
    _agree(context, deployment)
    settings.write(ROOT)
    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        _pack(arguments.platform)
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=environment_of(environment, deployment),
        check=False,
        stdout=_out(arguments),
    )
    if ended.returncode:
        raise CannotDeploy("osls did not deploy; its last lines say why. Mend that and run this again")
    if deployment != earlier:
        remember(context.clients, deployment, stage=arguments.stage)
    return _tell(context, deployment)


def _settings(arguments: argparse.Namespace) -> StackSettings:
    """Raises CannotDeploy for a file that was named and is not there: roles would lose their boundary."""
    file: Path = arguments.file
    if file != FILE and not file.exists():
        raise CannotDeploy(f"there is no file {file}; leave --file out to take {FILE}")
    return StackSettings.of(read_settings(file, as_draft=True), stage=arguments.stage)


def given_by(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Deployment:
    """What the command line and the environment say. Raises CannotDeploy for what has another shape."""
    for words in arguments.param:
        name, is_given, value = words.partition("=")
        mistake = parameter_mistake(name, value) if is_given else "write name=value"
        if mistake:
            raise CannotDeploy(f"--param {words}: {mistake}")
    settings = {name: environment[name] for name in sorted(deployable()) if name in environment}
    try:
        load_deployed(settings)
    except ConfigError as wrong:
        raise CannotDeploy(str(wrong)) from wrong
    return Deployment(
        suffix=arguments.suffix or "",
        team=arguments.team or environment.get("SLACK_TEAM_ID", ""),
        alarm_email=arguments.alarm_email or "",
        ops_channel=arguments.ops_channel or "",
        params=dict(words.split("=", 1) for words in arguments.param),
        settings=settings,
    )


def check(deployment: Deployment, earlier: Deployment) -> Deployment:
    """The same. Raises CannotDeploy for what is missing, wrong, or would leave the pictures behind."""
    if not TEAM.fullmatch(deployment.team):
        raise CannotDeploy(
            "the Slack workspace is not known: add --team T0123456789, from app.slack.com/client/T…"
        )
    if not SUFFIX.fullmatch(deployment.suffix):
        raise CannotDeploy(
            "the bucket needs a name of its own: add --suffix yourteam, in small letters and digits"
        )
    if earlier.suffix not in ("", deployment.suffix):
        raise CannotDeploy(
            f"this stage has its pictures under the suffix {earlier.suffix}, and another one would leave "
            "them behind: leave --suffix out, or take another --stage"
        )
    for address in (deployment.alarm_email, deployment.ops_channel):
        if address and not EMAIL.fullmatch(address):
            raise CannotDeploy(f"{address} is no e-mail address")
    return deployment


def command_for(
    deployment: Deployment, settings: StackSettings, *, stage: str, region: str, osls: Path
) -> list[str]:
    """The line that deploys. What was said with --param goes before the settings' file."""
    alarms = {"alarmEmail": deployment.alarm_email} if deployment.alarm_email else {}
    params = {"suffix": deployment.suffix, **alarms, **settings.params, **deployment.params}
    words = [word for name, value in params.items() for word in ("--param", f"{name}={value}")]
    return [str(osls), "deploy", "--stage", stage, "--region", region, *words]


def environment_of(environment: Mapping[str, str], deployment: Deployment) -> dict[str, str]:
    """What osls runs with: nothing is told to its makers."""
    own = {"SLACK_TEAM_ID": deployment.team, "SLS_TELEMETRY_DISABLED": "1"}
    return {**environment, **deployment.settings, **own}


def _earlier(context: Context) -> Deployment:
    return remembered(context.clients, stage=context.arguments.stage)


def _agree(context: Context, deployment: Deployment) -> None:
    """Say the price and the settings; ask where somebody sits who can answer. It can be taken back."""
    arguments = context.arguments
    context.tell(
        f"deploying stage {arguments.stage} to {arguments.region}; while nobody draws it costs "
        f"{_idle_month(context)}, and imagine remove takes it away"
    )
    if deployment.settings:
        told = ", ".join(f"{name}={value}" for name, value in sorted(deployment.settings.items()))
        context.tell(f"settings, kept until they are given anew: {told}")
    if sys.stdin.isatty():
        context.confirm("Go on?")


def _idle_month(context: Context) -> str:
    """The price with region and date of the list. Raises EndpointError for a price file that is broken."""
    region = context.arguments.region
    if not bills_in_dollars(region):
        return f"an unknown amount a month ({region} bills in yuan by a price list of its own)"
    month = idle_month(models_gb=0.0, region=region, known=context.prices)
    return f"about ${total(month):.2f} a month ({basis_of(month)}; imagine endpoint cost lists it)"


def _out(arguments: argparse.Namespace) -> int | None:
    """With --json the words of osls go where people look."""
    return STDERR if arguments.json else None


def _tell(context: Context, deployment: Deployment) -> int:
    """Where it answers, and what is next."""
    stage, clients = context.arguments.stage, context.clients
    address = address_of(clients, stage=stage)
    is_new = bool(deployment.ops_channel) and subscribe(clients, address.alarms, deployment.ops_channel)
    following = _next(context)
    if context.arguments.json:
        told = {"outcome": "deployed", "slack_url": address.slack, "api_url": address.api, "next": following}
        print(json.dumps(told))
        return 0
    print("deployed")
    _tell_address(address)
    if is_new or deployment.alarm_email:
        print("alarms are mailed once the link in AWS's first mail was followed")
    print(f"next: {following}")
    return 0


def _tell_address(address: Address) -> None:
    if address.slack:
        print(f"Slack's address: {address.slack}\n    imagine slack manifest --url {address.slack}")
        print(f"HTTP API:        {address.api}")


def _next(context: Context) -> str:
    """As imagine doctor --next."""
    stage = context.arguments.stage
    sight = Sight(
        stage=stage, file=FILE, clients=context.clients, config=load(), fetch=fetch, now=time.time()
    )
    try:
        return next_command(examine(checks(stage), sight), stage=stage)
    except Exception:  # noqa: BLE001  it is deployed: a look that breaks must not make that seem a failure
        return f"imagine doctor --next --stage {stage}"


def _pack(platform: str) -> None:
    """Write the functions' zips. Raises CannotDeploy where a pinned package cannot be had."""
    try:
        function_zip.main(["--platform", platform])
    except subprocess.CalledProcessError as failed:
        raise CannotDeploy(
            "the functions' packages could not be fetched; nothing was sent to AWS. Try again when pip can"
        ) from failed


def _osls() -> Path:
    """The tool that package-lock.json pins, in this checkout."""
    tool = ROOT / "node_modules" / ".bin" / "osls"
    if tool.exists():
        return tool
    if shutil.which("npm") is None:
        raise CannotDeploy("Node.js 20 or newer with npm is needed; install it, then run npm ci here")
    raise CannotDeploy(f"the pinned tool is not installed; run npm ci in {ROOT.name}, then this again")
