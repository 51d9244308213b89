"""`imagine iam deployer-policy`: the rights that deploying and endpoint work need."""

import argparse
import json
import sys

from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.deployer_policy import LONGEST_MANAGED, Part, Scope, deployer_policy
from infra.endpoint.place import endpoint_name
from infra.endpoint.settings import read_settings


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    policy = verbs.add_parser("deployer-policy", help="an IAM policy document as JSON")
    policy.add_argument(
        "--part", choices=[part.value for part in Part], help="for one kind of work (default: all)"
    )
    policy.add_argument("--account", help="12 digits (default: asked from AWS)")
    policy.add_argument("--partition", help="aws or aws-cn (default: asked from AWS)")
    add_options(policy, file=True)
    policy.set_defaults(run=telling("iam deployer-policy", run))


def run(arguments: argparse.Namespace) -> int:
    """Print it; nothing is made. Raises EndpointError."""
    endpoint_name(arguments.stage)
    parts = (Part(arguments.part),) if arguments.part else tuple(Part)
    policy = deployer_policy(scope_of(Context(arguments)), parts)
    print(json.dumps(policy, indent=2))
    length = len("".join(json.dumps(policy, separators=(",", ":")).split()))
    if length > LONGEST_MANAGED and not arguments.json:
        print(
            f"{length} characters are too many for one managed policy ({LONGEST_MANAGED}): make one of each "
            f"--part ({', '.join(Part)})",
            file=sys.stderr,
        )
    return 0


def scope_of(context: Context) -> Scope:
    """The account is only asked for where it is not given."""
    arguments = context.arguments
    settings = read_settings(arguments.file, as_draft=True)
    account, partition = arguments.account, arguments.partition or "aws"
    if account is None:
        identity = context.clients["sts"].get_caller_identity()
        account, partition = identity["Account"], identity["Arn"].split(":")[1]
    models = settings.model.removeprefix("s3://").partition("/")[0]
    return Scope(
        stage=arguments.stage,
        account=account,
        region=context.clients.region,
        partition=partition,
        models=models,
        settings=settings,
    )
