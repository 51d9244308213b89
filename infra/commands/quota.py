"""`imagine quota [show|request]`: how many instances AWS lets this account run, and asking for more."""

import argparse
import json
from collections.abc import Sequence

from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.settings import EndpointSettings
from infra.quota.quotas import Quota, Use, needs_of, read_quotas, request_quota


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs; without a verb it shows."""
    group.set_defaults(run=telling("quota", run_show))
    _add_options(group)
    verbs = group.add_subparsers(dest="verb", metavar="VERB")
    show = verbs.add_parser("show", help="exit with 1 when nothing may run")
    show.set_defaults(run=telling("quota show", run_show))
    request = verbs.add_parser("request", help="file an increase for what is too small")
    request.add_argument(
        "--dry-run", action="store_true", help="say what would be asked for, and ask nothing"
    )
    request.set_defaults(run=telling("quota request", run_request))
    for parser in (show, request):
        _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, file=True, yes=True)
    parser.add_argument(
        "--training", default="ml.g5.xlarge", metavar="TYPE", help="of trainings (default: %(default)s)"
    )
    parser.add_argument("--on-demand", action="store_true", help="trainings on no spot machine")


def run_show(arguments: argparse.Namespace) -> int:
    """1 when the endpoint may run on none of its types."""
    quotas = _read(Context(arguments))
    if arguments.json:
        print(json.dumps([_told(quota) for quota in quotas]))
    else:
        for quota in quotas:
            print(f"{'ok  ' if quota.enough else 'low '} {quota.sentence}")
        if not all(quota.enough for quota in quotas):
            print("ask for more: imagine quota request")
    return 0 if _may_run(quotas) else 1


def run_request(arguments: argparse.Namespace) -> int:
    """Asks first; what is asked for already is not asked for again."""
    context = Context(arguments)
    low = [quota for quota in _read(context) if not quota.enough]
    new = [quota for quota in low if quota.asked is None and quota.code]
    for quota in low:
        context.tell(quota.sentence)
    if arguments.dry_run or not new:
        return _finish(context, "planned" if new else "unchanged", new)
    names = ", ".join(f"{quota.need.name}: {quota.need.count}" for quota in new)
    context.confirm(f"Ask AWS for {names}? It costs nothing; answers take minutes to days.")
    for quota in new:
        context.tell(f"asked, request {request_quota(context.clients, quota)}: {quota.need.name}")
    return _finish(context, "asked", new)


def _read(context: Context) -> tuple[Quota, ...]:
    arguments = context.arguments
    settings: EndpointSettings = context.settings
    needs = needs_of(settings, training=arguments.training, spot=not arguments.on_demand)
    return read_quotas(context.clients, needs)


def _may_run(quotas: Sequence[Quota]) -> bool:
    """On one type with at least one instance; fewer than wanted is slower, not impossible."""
    return any(quota.value for quota in quotas if quota.need.use is Use.ENDPOINT)


def _told(quota: Quota) -> dict[str, object]:
    return {
        "quota": quota.need.name,
        "code": quota.code,
        "value": quota.value,
        "needed": quota.need.count,
        "enough": quota.enough,
        "asked": quota.asked,
    }


def _finish(context: Context, outcome: str, quotas: Sequence[Quota]) -> int:
    if context.arguments.json:
        print(json.dumps({"outcome": outcome, "quotas": [_told(quota) for quota in quotas]}))
    elif outcome == "unchanged":
        print("nothing to ask for")
    return 0
