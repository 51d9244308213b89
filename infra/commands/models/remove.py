"""`imagine models remove RELEASE`: asks, and refuses while an endpoint draws with it."""

import argparse
import json

from infra.commands.models import cloud
from infra.commands.models.asking import confirm
from infra.commands.models.meter import size_words
from model_packaging.endpoints import endpoints_using
from model_packaging.errors import StoreRefused
from model_packaging.releases import (
    Release,
    list_releases,
    published,
    release_named,
    remove_release,
    uri_of,
)
from model_packaging.store import Store


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("remove", help="remove a release, or what interrupted uploads left")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("release", nargs="?", help="a release or its beginning")
    which.add_argument("--unfinished", action="store_true", help="all releases that were never finished")
    cloud.add_options(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    store = cloud.open_store(arguments)
    releases = list_releases(store)
    if arguments.unfinished:
        chosen = [one for one in releases if not one.finished]
    else:
        chosen = [release_named(releases, arguments.release, unfinished=True)]
        _check_unused(arguments, store, chosen[0])
    if chosen:
        confirm(_question(store, chosen), yes=arguments.yes)
    for one in chosen:
        remove_release(store, one)
    names = [one.name for one in chosen]
    if arguments.json:
        print(json.dumps({"outcome": "removed", "releases": names}))
    else:
        print(f"removed: {', '.join(names) or 'nothing was there'}")
    return 0


def _check_unused(arguments: argparse.Namespace, store: Store, release: Release) -> None:
    using = endpoints_using(cloud.client("sagemaker", arguments), uri_of(store, release.name))
    if using:
        raise StoreRefused(f"{', '.join(using)} draws with {release.name}; point it at another release first")
    chosen = published(store)
    if chosen is not None and chosen.release == release.name:
        raise StoreRefused(f"{release.name} is published for the next update; publish another one first")


def _question(store: Store, chosen: list[Release]) -> str:
    named = ", ".join(f"{one.name} ({size_words(one.size)})" for one in chosen)
    running = (
        " An upload that still runs would lose its parts." if not all(o.finished for o in chosen) else ""
    )
    return f"Remove {named} from {store.place}? It cannot be brought back.{running}"
