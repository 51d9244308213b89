"""`imagine models upload FOLDER s3://bucket/prefix`: a new release, straight from the folder."""

import argparse
import functools
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot import config
from infra.commands.models import cloud, releasing
from infra.commands.models.checking import check_archive, check_folder
from model_packaging.catalogue import Catalogue, ModelFile
from model_packaging.changes import plan_of_folder
from model_packaging.contents import SourceFile
from model_packaging.digests import Digests
from model_packaging.errors import WrongPlace
from model_packaging.licences import check_allowed, licence_named
from model_packaging.packing import Folder, annotated, describe, read_folder, stated_licence
from model_packaging.upload import Plan

ARCHIVES = (".tar.gz", ".tgz")


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("upload", help="make a release in S3 of a folder or a hand-made model.tar.gz")
    parser.add_argument(
        "folder", type=Path, help="the folder that holds Stable-diffusion/, or a model.tar.gz"
    )
    parser.add_argument("place", nargs="?", metavar="s3://BUCKET/PREFIX", help="where releases are kept")
    parser.add_argument("--rehash", action="store_true", help="trust no hash in the folder's catalogue.json")
    cloud.add_options(parser)
    releasing.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    store = cloud.open_store(arguments, arguments.place)
    with opened_folder(arguments.folder, quiet=arguments.json) as root:
        folder = read_folder(root, rehash=arguments.rehash)
        before = cloud.newest_catalogue(store)
        plan = plan_of_folder(folder, before)
        _check_licences(folder, plan)
        return releasing.release(arguments, store, plan, functools.partial(_described, folder, before))


@contextmanager
def opened_folder(place: Path, *, quiet: bool) -> Iterator[Path]:
    """The verified folder; a verified archive is unpacked beside itself for as long as the block lasts."""
    if not place.name.endswith(ARCHIVES):
        check_folder(place, quiet=quiet)
        yield place
        return
    check_archive(place, quiet=quiet)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".unpacked-") as unpacked:
        _unpack(place, Path(unpacked))
        check_folder(Path(unpacked), quiet=True)
        yield Path(unpacked)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r|gz") as members:
            members.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise WrongPlace(
            f"{archive} cannot be unpacked here: {error}; unpack it yourself, upload the folder"
        ) from error


def _check_licences(folder: Folder, plan: Plan) -> None:
    """Before anything is sent. Raises `LicenceRefused` where the team forbids what a file's licence says."""
    if not config.load()["IMAGINE_FORBID_NON_COMMERCIAL"]:
        return
    stated = {file.path: stated_licence(file, folder.notes) for file in plan.send}
    for path, name in (stated | {kept.facts.path: kept.facts.licence for kept in plan.keep}).items():
        check_allowed(licence_named(name), forbid_non_commercial=True, path=path)


def _described(folder: Folder, before: Catalogue | None, file: SourceFile, digests: Digests) -> ModelFile:
    return annotated(describe(file, digests), folder.notes, before)
