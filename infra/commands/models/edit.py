"""`disable`, `enable`, `alias` and `defaults`: a new release that says something else of the same files."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from infra.commands.models import cloud, releasing
from model_packaging.catalogue import Catalogue, ModelFile
from model_packaging.changes import beginning_with, plan_with_facts
from model_packaging.contents import SourceFile
from model_packaging.digests import Digests
from model_packaging.errors import BadCatalogue
from model_packaging.models_toml import check_written
from model_packaging.upload import Plan

Planned = Callable[[argparse.Namespace, Catalogue], Plan]


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _add(verbs, "disable", "hide a file from prompts", _switched(disabled=True))
    _add(verbs, "enable", "offer a disabled file again", _switched(disabled=False))
    alias = _add(verbs, "alias", "give a file another name in prompts", _alias)
    alias.add_argument("alias", help='the other name; "" takes it away')
    defaults = _add(verbs, "defaults", "say what a file draws best with, or what to begin with", _defaults)
    defaults.add_argument("--width", type=int, help="pixels")
    defaults.add_argument("--height", type=int, help="pixels")
    defaults.add_argument("--steps", type=int)
    defaults.add_argument("--sampler")
    defaults.add_argument("--begin-with", action="store_true", help="the checkpoint the endpoint loads first")


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", word: str, meaning: str, planned: Planned
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(word, help=f"{meaning}: a new release")
    parser.add_argument("name", help="the file: its path, name or alias")
    cloud.add_options(parser)
    releasing.add_options(parser)
    parser.set_defaults(run=lambda arguments: _run(arguments, planned))
    return parser


def _run(arguments: argparse.Namespace, planned: Planned) -> int:
    store = cloud.open_store(arguments)
    plan = planned(arguments, cloud.need_newest(store))
    return releasing.release(arguments, store, plan, _nothing_new)


def _nothing_new(file: SourceFile, digests: Digests) -> ModelFile:
    raise BadCatalogue(f"{file.path} was not to be sent ({digests.sha256[:12]})")


def _switched(*, disabled: bool) -> Planned:
    return lambda arguments, before: plan_with_facts(before, arguments.name, {"disabled": disabled})


def _alias(arguments: argparse.Namespace, before: Catalogue) -> Plan:
    written: Mapping[str, Any] = {"alias": arguments.alias}
    if arguments.alias:
        check_written(written)
    return plan_with_facts(before, arguments.name, written)


def _defaults(arguments: argparse.Namespace, before: Catalogue) -> Plan:
    told = {key: getattr(arguments, key) for key in ("width", "height", "steps", "sampler")}
    written = {key: value for key, value in told.items() if value is not None}
    check_written(written)
    plan = plan_with_facts(before, arguments.name, written)
    if not arguments.begin_with:
        return plan
    return beginning_with(plan, arguments.name)
