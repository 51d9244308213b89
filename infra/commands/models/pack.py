"""`imagine models pack FOLDER`: a release tree of hard links (the default), or `model.tar.gz`."""

import argparse
import json
import sys
from pathlib import Path

from infra.commands.models.checking import check_folder
from infra.commands.models.meter import Meter, size_words
from model_packaging.catalogue import Catalogue
from model_packaging.errors import WrongPlace
from model_packaging.layout import CATALOGUE
from model_packaging.member_names import printable
from model_packaging.packing import make_catalogue, pack_archive, pack_tree, read_folder, write_catalogue

ARCHIVE = "model.tar.gz"


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("pack", help="write catalogue.json, a release tree or model.tar.gz")
    parser.add_argument("folder", type=Path, help="the folder that holds Stable-diffusion/")
    parser.add_argument(
        "--format",
        choices=["prefix", "archive"],
        default="prefix",
        help="prefix: files as they are, uncompressed; archive: the seed's model.tar.gz",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        help=f"prefix: a folder for hard links; archive: the file ({ARCHIVE})",
    )
    parser.add_argument(
        "--small", action="store_true", help="archive: deflate, a tenth smaller, for slow links"
    )
    parser.add_argument("--rehash", action="store_true", help="trust no hash in the folder's catalogue.json")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    check_folder(arguments.folder, quiet=arguments.json)
    meter = Meter(sys.stderr, silent=arguments.json)
    catalogue = _pack(arguments, meter)
    meter.end()
    return _tell(arguments, catalogue)


def _pack(arguments: argparse.Namespace, meter: Meter) -> Catalogue:
    folder = read_folder(arguments.folder, rehash=arguments.rehash)
    for path in folder.contents.left_out if not arguments.json else ():
        print(f"left out: {printable(path)}", file=sys.stderr)
    if arguments.format == "archive":
        catalogue = pack_archive(
            folder, arguments.out or Path(ARCHIVE), small=arguments.small, on_progress=meter.show
        )
    elif arguments.out is not None:
        catalogue = pack_tree(folder, arguments.out, meter.show)
    else:
        catalogue = make_catalogue(folder, meter.show)
    if not write_catalogue(arguments.folder, catalogue) and out_of(arguments) is None:
        raise WrongPlace(f"{arguments.folder / CATALOGUE} cannot be written; name a place with -o")
    return catalogue


def out_of(arguments: argparse.Namespace) -> Path | None:
    """What is written beside the folder's own catalogue."""
    return arguments.out or (Path(ARCHIVE) if arguments.format == "archive" else None)


def _tell(arguments: argparse.Namespace, catalogue: Catalogue) -> int:
    out = out_of(arguments)
    if arguments.json:
        files = {path: file.sha256 for path, file in catalogue.files.items()}
        written = str(out) if out else None
        print(json.dumps({"outcome": "packed", "out": written, "bytes": catalogue.size, "files": files}))
        return 0
    for path, file in catalogue.files.items():
        print(f"{file.hash}  {size_words(file.size):>10}  {path}")
    print(out or f"{arguments.folder / CATALOGUE} is written; upload the folder as it is")
    return 0
