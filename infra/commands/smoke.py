"""`imagine smoke aws|slack`: what nobody could verify without an account, tried against the real thing."""

import argparse
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import botocore.session

from bot.aws.clients import Clients
from bot.aws.s3_links import S3Links
from bot.config import load
from bot.domain.instance_prices import price_of
from bot.slack.web import FixedToken, SlackWeb
from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.place import Place, endpoint_name
from infra.live_checks.aws_checks import AWS_CHECKS
from infra.live_checks.aws_checks import UNCHECKED as AWS_UNCHECKED
from infra.live_checks.aws_site import LOOK, AwsSite, aws_time
from infra.live_checks.check import Check, NotNow, SmokeError
from infra.live_checks.report import as_json, write
from infra.live_checks.runner import Finding, chosen, cost_of, need_budget, run_checks
from infra.live_checks.slack_checks import SLACK_CHECKS, SlackSite
from infra.live_checks.slack_checks import UNCHECKED as SLACK_UNCHECKED
from infra.operating.deployment import address_of

Site = TypeVar("Site")
PATIENCE = 20.0
MOST_BYTES = 5_000_000
DEAREST = 1.5
"""Dollars an hour for an instance whose price nobody knows."""


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    aws = verbs.add_parser("aws", help="checks of AWS, on a deployed stage that nobody uses meanwhile")
    slack = verbs.add_parser("slack", help="checks of Slack, in a channel that the bot is in")
    slack.add_argument("--channel", metavar="ID", help="C…, where messages appear for a moment")
    aws.add_argument(
        "--look",
        type=float,
        default=LOOK,
        metavar="SECONDS",
        help="between two looks at what takes a while (default: %(default)s)",
    )
    aws.add_argument(
        "--url",
        type=_address,
        help="where the bot answers, where that is a domain of yours (default: as the stack says)",
    )
    for parser, run in ((aws, run_aws), (slack, run_slack)):
        parser.add_argument(
            "--max-cost",
            type=float,
            default=2.0,
            metavar="DOLLARS",
            help="most in all (default: %(default)s)",
        )
        parser.add_argument(
            "--only", action="append", default=[], metavar="CHECK", help="one of them; may be repeated"
        )
        parser.add_argument("--list", action="store_true", help="say what would be tried, and do nothing")
        parser.add_argument(
            "-o",
            "--output",
            type=Path,
            default=Path("out"),
            metavar="DIR",
            help="of the report (%(default)s)",
        )
        add_options(parser, yes=True)
        parser.set_defaults(run=telling(parser.prog.partition(" ")[2], run))


def run_aws(arguments: argparse.Namespace) -> int:
    """1 when a check failed, was interrupted, or left something behind. Raises SmokeError, NotDeployed."""
    endpoint_name(arguments.stage)
    checks = chosen(AWS_CHECKS, arguments.only)
    if arguments.list:
        return _list(checks, AWS_UNCHECKED, arguments, hourly=DEAREST)
    context = Context(arguments)
    site = AwsSite(
        clients=context.clients,
        place=context.place,
        links=links_of(context.place),
        fetch=post_or_get,
        now=lambda: aws_time(context.clients),
        pause=time.sleep,
        look=arguments.look,
        url=arguments.url
        or address_of(context.clients, stage=arguments.stage).slack.removesuffix("/slack/events"),
    )
    return _run(context, checks, site, AWS_UNCHECKED, hourly=hourly_of(site))


def run_slack(arguments: argparse.Namespace) -> int:
    """As `run_aws`; Slack costs nothing."""
    checks = chosen(SLACK_CHECKS, arguments.only)
    if arguments.list:
        return _list(checks, SLACK_UNCHECKED, arguments, hourly=0.0)
    if not arguments.channel:
        raise SmokeError("name a channel that the bot is in: --channel C0123456789, from its details")
    context, settings = Context(arguments), load()
    web = SlackWeb(tokens=FixedToken(_token(context)), base_url=settings["SLACK_API_URL"])
    site = SlackSite(web=web, channel=arguments.channel, fetch=get, now=time.time, pause=time.sleep)
    try:
        return _run(context, checks, site, SLACK_UNCHECKED, hourly=0.0)
    finally:
        web.close()


def links_of(place: Place) -> S3Links:
    """The bot's own: boto3's would be signed otherwise in some regions."""
    session = botocore.session.Session()
    session.set_config_variable("region", place.region)
    return S3Links(Clients(session), bucket=place.bucket)


def hourly_of(site: AwsSite) -> float:
    """What an instance of the endpoint costs; the dearest we know of where nobody can tell."""
    try:
        variant = site.variant
    except NotNow:
        return DEAREST
    kinds = [variant["InstanceType"]] if "InstanceType" in variant else _pooled(variant)
    prices = [price_of(kind, region=site.place.region).hourly or DEAREST for kind in kinds]
    return max(prices, default=DEAREST)


def post_or_get(url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body, whatever the status. Raises OSError."""
    status, _, answered = _ask(url, body, headers)
    return status, answered


def get(url: str) -> tuple[int, str, bytes]:
    """Status, content type and body of an address, asked without any token. Raises OSError."""
    return _ask(url, None, {})


def _ask(url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    request = urllib.request.Request(url, data=body, headers=dict(headers))  # noqa: S310  told by AWS, by Slack, or checked
    try:
        with urllib.request.build_opener().open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read(MOST_BYTES)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get("Content-Type", ""), refused.read(MOST_BYTES)


def _address(text: str) -> str:
    """An option's value that may be asked, without a slash at its end."""
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as https://draw.example.com")
    return text.rstrip("/")


def _run(
    context: Context,
    checks: Sequence[Check[Site]],
    site: Site,
    unchecked: Mapping[str, str],
    *,
    hourly: float,
) -> int:
    arguments = context.arguments
    total = need_budget(checks, hourly=hourly, most=arguments.max_cost)
    context.confirm(f"Try {len(checks)} checks, for at most ${total:.2f}? What they make is removed again.")
    run = run_checks(checks, site, hourly=hourly, told=lambda finding: context.tell(_line(finding)))
    when, what = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", arguments.verb
    files = write(run, arguments.output, what=what, when=when, unchecked=unchecked)
    if arguments.json:
        print(as_json(run, what=what, when=when), end="")
    else:
        print(f"report: {files[1]}, and {files[0].name} for programs")
    return 0 if run.is_good else 1


def _list(
    checks: Sequence[Check[Site]],
    unchecked: Mapping[str, str],
    arguments: argparse.Namespace,
    *,
    hourly: float,
) -> int:
    if arguments.json:
        told = [
            {"id": one.id, "claim": one.claim, "source": one.source, "dollars": cost_of(one, hourly=hourly)}
            for one in checks
        ]
        print(json.dumps({"checks": told, "unchecked": dict(unchecked)}))
        return 0
    for check in checks:
        print(f"{check.id:<22} ${cost_of(check, hourly=hourly):.2f}  {check.claim} ({check.source})")
    print("not checked:", *(f"{name}: {reason}" for name, reason in unchecked.items()), sep="\n    ")
    return 0


def _line(finding: Finding) -> str:
    left = "".join(f"\n    {sentence}" for sentence in finding.left)
    return f"{finding.verdict.state:<11} {finding.id:<22} {finding.verdict.what}{left}"


def _token(context: Context) -> str:
    """From the environment or the settings file, else from the stage's SecureString. Raises SmokeError."""
    own = str(load()["SLACK_BOT_TOKEN"])
    if own:
        return own
    name = f"/imagine/{context.arguments.stage}/slack-bot-token"
    told = context.clients["ssm"].get_parameters(Names=[name], WithDecryption=True)["Parameters"]
    if not told:
        raise SmokeError("there is no bot token: set SLACK_BOT_TOKEN, or imagine secrets set slack-bot-token")
    return str(told[0]["Value"])


def _pooled(variant: Mapping[str, object]) -> list[str]:
    pools = variant.get("InstancePools")
    return [str(pool["InstanceType"]) for pool in pools] if isinstance(pools, list) else []
