"""`imagine models diff`: a folder against a release, or two releases."""

import argparse
import dataclasses
import json
from pathlib import Path

from infra.commands.models import cloud
from model_packaging.catalogue import Catalogue
from model_packaging.packing import make_catalogue, read_folder
from model_packaging.releases import difference, list_releases, read_catalogue, release_named
from model_packaging.store import Store

MARKS = {"added": "+", "removed": "-", "changed": "~", "edited": "*"}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("diff", help="what changes from a release to a folder or to another release")
    parser.add_argument("before", help='a release, its beginning, or "newest"')
    parser.add_argument("after", help="a folder, or a release")
    cloud.add_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0, whether anything differs or not. Raises `PackagingError`."""
    store = cloud.open_store(arguments)
    found = difference(_catalogue(store, arguments.before), _catalogue(store, arguments.after))
    told = dataclasses.asdict(found)
    if arguments.json:
        print(json.dumps(told))
        return 0
    for what, mark in MARKS.items():
        for path in told[what]:
            print(f"{mark} {path}" + ("  (its notes)" if what == "edited" else ""))
    if found.is_empty:
        print("no difference")
    return 0


def _catalogue(store: Store, name: str) -> Catalogue:
    folder = Path(name)
    if folder.is_dir():
        return make_catalogue(read_folder(folder))
    return read_catalogue(store, release_named(list_releases(store), name).name)
