"""The names a prompt may use, and the nearest ones to a name that does not exist."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from bot.domain.prompt.styles import STYLES

SUGGESTIONS = 3
LONGEST_NAME = 64
"""Longer words are never compared: the comparison is quadratic and no real name is that long."""


class Construct(StrEnum):
    """Prompt constructs of the Stable Diffusion web UI that not every engine can draw."""

    BREAK = "BREAK"
    EDITING = "[a:b:0.4]"
    ALTERNATION = "[a|b]"
    COMPOSITION = "AND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the endpoint offers. An empty `loras` means that every LoRA is unknown."""

    models: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ("Euler", "Euler a", "DDIM", "DPM++ 2M")
    styles: tuple[str, ...] = tuple(STYLES)
    constructs: frozenset[Construct] = frozenset({Construct.BREAK})


SPELLINGS = {"eulerancestral": "eulera", "keuler": "euler", "keulera": "eulera", "keulerancestral": "eulera"}


def plain_name(name: str) -> str:
    """A name without case, spaces, hyphens and file ending, so that `dpmpp_2m` finds `DPM++ 2M`."""
    bare = re.sub(r"\.(safetensors|ckpt|pt)$", "", name.casefold())
    bare = re.sub(r"[\s_-]+", "", bare).replace("pp", "++")
    return SPELLINGS.get(bare, bare)


def find_name(name: str, names: Iterable[str]) -> str | None:
    """The catalogue's own spelling of `name`: the exact one first, else the one that reads the same."""
    names = tuple(names)
    if name in names:
        return name
    wanted = plain_name(name)
    return next((known for known in names if plain_name(known) == wanted), None)


def nearest_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most three similar names, the most similar first."""
    by_plain = {plain_name(known): known for known in names}
    close = get_close_matches(plain_name(name[:LONGEST_NAME]), by_plain, n=SUGGESTIONS, cutoff=0.5)
    return tuple(by_plain[plain] for plain in close)
