"""`imagine models list`: the releases in S3, what they hold and cost."""

import argparse
import json

from infra.commands.models import cloud
from infra.commands.models.meter import size_words
from infra.commands.models.releasing import DOLLARS_PER_GB_MONTH, GB
from model_packaging.catalogue import Catalogue, ModelFile
from model_packaging.licences import Use, licence_named
from model_packaging.releases import list_releases, published, read_catalogue, release_named


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("list", help="the releases in S3, or the files of one")
    parser.add_argument("release", nargs="?", help='a release, its beginning, or "newest": list its files')
    cloud.add_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON array, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    store = cloud.open_store(arguments)
    releases = list_releases(store)
    if arguments.release:
        return _files(arguments, read_catalogue(store, release_named(releases, arguments.release).name))
    chosen = published(store)
    rows = [
        {
            "release": one.name,
            "finished": one.finished,
            "published": chosen is not None and chosen.release == one.name,
            "files": len(one.objects) - one.finished,
            "bytes": one.size,
            "dollars_a_month": round(one.size / GB * DOLLARS_PER_GB_MONTH, 4),
        }
        for one in releases
    ]
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row, one in zip(rows, releases, strict=True):
        state = "published" if row["published"] else "" if one.finished else "unfinished"
        cost = f"${row['dollars_a_month']:.2f} a month"
        print(
            f"{one.name}  {row['files']:>3} files  {size_words(one.size):>10}  {cost:>14}  {state}".rstrip()
        )
    if not rows:
        print(f"no release in {store.place}")
    return 0


def _files(arguments: argparse.Namespace, catalogue: Catalogue) -> int:
    if arguments.json:
        print(
            json.dumps(
                [{"path": path, "sha256": f.sha256, "bytes": f.size} for path, f in catalogue.files.items()]
            )
        )
        return 0
    for path, file in catalogue.files.items():
        print(f"{file.hash}  {size_words(file.size):>10}  {path}  {_remarks(file)}".rstrip())
    if catalogue.default_model:
        print(f"begins with {catalogue.default_model}")
    return 0


def _remarks(file: ModelFile) -> str:
    licence = licence_named(file.licence)
    words = [
        file.architecture if file.architecture != "unknown" else "",
        f"alias {file.alias}" if file.alias else "",
        f"say: {', '.join(file.trigger_words[:3])}" if file.trigger_words else "",
        file.licence or "no licence stated",
        "NON-COMMERCIAL" if file.non_commercial or licence.use is Use.NON_COMMERCIAL else "",
        "disabled" if file.disabled else "",
    ]
    return "; ".join(filter(None, words))
