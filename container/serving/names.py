"""What a request calls a file, and which of those on offer it means.

A name is only ever compared with the names on offer; it never becomes a path.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from container.serving.engine import Model
from container.serving.errors import UnknownName


def find(asked: str, models: Sequence[Model], *, kind: str, field: str) -> Model:
    """The model meant. Raises `UnknownName` with the three nearest names.

    As in webui it may be named by file name, with or without folder and ending, by "name [hash]", or by hash.
    """
    for model in models:
        if asked in names_of(model):
            return model
    name = _without_foreign_hash(asked)
    for model in models:
        if name in names_of(model) and (not model.hash or _is_old_hash(asked)):
            return model
    raise UnknownName(kind, asked, nearest=nearest(asked, [model.name for model in models]), field=field)


def find_name(asked: str, names: Iterable[str], *, kind: str, field: str) -> str:
    """The name meant, whatever its case. Raises `UnknownName` with the three nearest."""
    offered = list(names)
    found = match(asked, offered)
    if found is None:
        raise UnknownName(kind, asked, nearest=nearest(asked, offered), field=field)
    return found


def match(asked: str, names: Iterable[str]) -> str | None:
    """The first of the names that differs at most in case and spaces."""
    wanted = " ".join(asked.lower().split())
    return next((name for name in names if name.lower() == wanted), None)


def nearest(asked: str, names: Sequence[str]) -> list[str]:
    """Up to three of the names, most similar first."""
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(asked[:200].lower(), by_lower, n=3, cutoff=0.0)
    return [by_lower[name] for name in close]


def names_of(model: Model) -> set[str]:
    """Everything a request may call it."""
    stem = model.name.removesuffix(_ending(model.name))
    endings = {_ending(model.name)} if stem != model.name else _ENDINGS
    plain = {name + ending for name in (stem, PurePosixPath(stem).name) for ending in {"", *endings}}
    if not model.hash:
        return plain
    return {*plain, *(f"{name} [{model.hash}]" for name in plain), model.hash}


_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


def bare(name: str) -> str:
    """A file's name without folder and ending, as webui tells it."""
    return PurePosixPath(name.removesuffix(_ending(name))).name


def _ending(name: str) -> str:
    """That of a model file, for names have dots of their own ("v1.5")."""
    return next((ending for ending in _ENDINGS if name.endswith(ending)), "")


_TITLE = re.compile(r"(.+) \[([0-9a-f]{8,10})\]")


def _without_foreign_hash(asked: str) -> str:
    title = _TITLE.fullmatch(asked[:500])
    return title[1] if title else asked


def _is_old_hash(asked: str) -> bool:
    """Whether it ends in webui's first kind of hash: eight digits that tell nothing about the file here."""
    title = _TITLE.fullmatch(asked[:500])
    return title is not None and len(title[2]) == 8
