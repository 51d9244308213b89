"""`imagine models add FILE --kind lora`: a new release with one file more; nothing else is moved."""

import argparse
import functools
from dataclasses import replace
from pathlib import Path

from bot import config
from infra.commands.models import cloud, releasing
from infra.commands.models.asking import licence_of
from infra.commands.models.checking import check_file
from model_packaging.catalogue import ModelFile, check_path
from model_packaging.changes import plan_with_file
from model_packaging.contents import SourceFile, source_file
from model_packaging.digests import Digests
from model_packaging.errors import BadCatalogue
from model_packaging.inspection import inspect_file
from model_packaging.kinds import Kind
from model_packaging.layout import FOLDERS, folder_for
from model_packaging.licences import Licence
from model_packaging.packing import describe

KINDS = [folder.kind.value for folder in FOLDERS]


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("add", help="a new release with one file more")
    parser.add_argument("file", type=Path, help="a .safetensors; convert others first")
    parser.add_argument("--kind", choices=KINDS, help="what it is (default: what its tensors say)")
    parser.add_argument("--name", help="how it will be called (default: its file name)")
    parser.add_argument("--licence", help="under which it may be used (default: what the file states)")
    parser.add_argument("--alias", default="", help="another name for it")
    parser.add_argument("--trigger-word", action="append", default=[], help="a word it reacts to; repeat")
    cloud.add_options(parser)
    releasing.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    seen = inspect_file(arguments.file)
    kind = Kind(arguments.kind) if arguments.kind else seen.kind
    file = source_file(arguments.file, path_of(arguments.file, kind, arguments.name))
    check_file(file.place, file.path, quiet=arguments.json)
    forbid = config.load()["IMAGINE_FORBID_NON_COMMERCIAL"]
    licence = licence_of(seen.licence, arguments.licence, path=file.path, forbid_non_commercial=forbid)
    store = cloud.open_store(arguments)
    described = functools.partial(_described, arguments, kind, licence)
    plan = plan_with_file(cloud.need_newest(store), file, described)
    return releasing.release(arguments, store, plan, described)


def path_of(file: Path, kind: Kind, name: str | None) -> str:
    """Where a file of this kind lies in a release. Raises `BadCatalogue`."""
    folder = folder_for(kind)
    if folder is None:
        raise BadCatalogue(
            f"{file.name} is {kind}, which no folder holds; say --kind, one of {', '.join(KINDS)}"
        )
    path = f"{folder.name}/{name.removesuffix(file.suffix) if name else file.stem}{file.suffix}"
    check_path(path)
    return path


def _described(
    arguments: argparse.Namespace, kind: Kind, licence: Licence, file: SourceFile, digests: Digests
) -> ModelFile:
    found = describe(file, digests)
    return replace(
        found,
        kind=kind,
        alias=arguments.alias,
        licence=licence.name,
        non_commercial=licence.is_flagged,
        trigger_words=tuple(arguments.trigger_word) or found.trigger_words,
    )
