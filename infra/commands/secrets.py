"""`imagine secrets set|list`: Slack's token and signing secret, typed hidden or piped in, and never shown."""

import argparse
import getpass
import json
import sys

from bot.aws.secrets import Reference, Store
from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.place import endpoint_name
from infra.operating.errors import NotASecret
from infra.operating.secret_store import KINDS, Change, SecretStore, check, kind_named, names, reference_of

SOON = "the functions see it within 15 minutes; one that found none looks again after 10 seconds"


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    stored = verbs.add_parser("set", help="the value is typed hidden, or piped in")
    stored.add_argument("name", metavar="NAME", help=" or ".join(names()))
    stored.add_argument("value", nargs="*", default=[], help=argparse.SUPPRESS)
    stored.set_defaults(run=telling("secrets set", run_set))
    listed = verbs.add_parser("list", help="names and dates, no values")
    listed.set_defaults(run=telling("secrets list", run_list))
    for parser in (stored, listed):
        add_options(parser)
        parser.add_argument(
            "--store",
            choices=[store.value for store in Store],
            default=Store.SSM.value,
            help="Parameter Store as SecureString, or Secrets Manager (default: %(default)s)",
        )


def run_set(arguments: argparse.Namespace) -> int:
    """Check the shape, store it, say where. Raises NotASecret."""
    if arguments.value:
        raise NotASecret(
            "a value on the command line stays in the shell's history and shows to every process: treat that "
            "one as known and make a new one, then type it when asked, or pipe it in"
        )
    kind = kind_named(arguments.name)
    reference = _reference(arguments, kind.name)
    value = check(kind, _read(f"{kind.name} ({kind.where}): "))
    context = Context(arguments)
    change = SecretStore(context.clients).put(reference, value, overlaps=kind.overlaps)
    if arguments.json:
        print(json.dumps({"outcome": change, "reference": str(reference)}))
        return 0
    print(f"{change}: {reference}")
    _say_what_follows(change, reference, overlaps=kind.overlaps, name=kind.name)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Every secret that the functions read, and the former one of a rotation."""
    references = [
        former
        for kind in KINDS
        for reference in [_reference(arguments, kind.name)]
        for former in ((reference, reference.previous) if _has_former(kind.name, reference) else (reference,))
    ]
    entries = list(SecretStore(Context(arguments).clients).entries(references))
    if arguments.json:
        told = [
            {"reference": entry.reference, "changed_at": entry.changed_at and entry.changed_at.isoformat()}
            for entry in entries
        ]
        print(json.dumps(told))
        return 0
    for entry in entries:
        print(f"{f'{entry.changed_at:%Y-%m-%d %H:%M}' if entry.changed_at else '-':<17} {entry.reference}")
    return 0


def _has_former(name: str, reference: Reference) -> bool:
    return kind_named(name).overlaps and reference.store is Store.SSM


def _reference(arguments: argparse.Namespace, name: str) -> Reference:
    endpoint_name(arguments.stage)
    return reference_of(kind_named(name), stage=arguments.stage, store=Store(arguments.store))


def _read(prompt: str) -> str:
    """One line. Nothing of it is echoed."""
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()


def _say_what_follows(change: Change, reference: Reference, *, overlaps: bool, name: str) -> None:
    if change is Change.UNCHANGED:
        return
    print(SOON)
    if change is Change.REPLACED and overlaps:
        print("requests signed with the former one are accepted for a day")
    if reference.store is Store.SECRETS_MANAGER:
        setting = f"{name.replace('-', '_').upper()}_REF"
        print(f"the functions look there once {setting} is {reference} and their role may read it")
