"""`imagine models publish`: name the release that the next `imagine endpoint update` serves."""

import argparse
import json

from infra.commands.models import cloud
from model_packaging.releases import list_releases, publish, release_named


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("publish", help="name the release that the next endpoint update serves")
    parser.add_argument("release", nargs="?", default="newest", help="a release (default: %(default)s)")
    cloud.add_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the release and write `published.json`; no endpoint changes. Raises `PackagingError`."""
    store = cloud.open_store(arguments)
    chosen = publish(store, release_named(list_releases(store), arguments.release).name)
    if arguments.json:
        told = {"outcome": "published", "release": chosen.release, "uri": chosen.uri}
        print(json.dumps({**told, "model_data_source": chosen.model_data_source}))
        return 0
    print(f"published {chosen.release}: {chosen.uri}")
    print("no endpoint has changed: imagine endpoint update points it there")
    return 0
