"""`imagine models download RELEASE FOLDER`: a release's files, compared with its catalogue."""

import argparse
import json
import sys
from pathlib import Path

from infra.commands.models import cloud
from infra.commands.models.meter import Meter, size_words
from model_packaging.download import download
from model_packaging.releases import list_releases, read_catalogue, release_named


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("download", help="bring a release into a folder")
    parser.add_argument("release", help='a release, its beginning, or "newest"')
    parser.add_argument("folder", type=Path, help="where to; files that are there unchanged stay")
    cloud.add_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    store = cloud.open_store(arguments)
    release = release_named(list_releases(store), arguments.release).name
    catalogue = read_catalogue(store, release)
    meter = Meter(sys.stderr, silent=arguments.json)
    fetched = download(store, catalogue, arguments.folder, on_progress=meter.show)
    meter.end()
    if arguments.json:
        print(json.dumps({"outcome": "downloaded", "release": release, "fetched": fetched}))
        return 0
    size = sum(catalogue.files[path].size for path in fetched)
    print(
        f"{len(fetched)} of {len(catalogue.files)} files fetched ({size_words(size)}) to {arguments.folder}"
    )
    return 0
