"""What a prompt may name: models, LoRAs, samplers and styles, and the nearest ones to a name that is none."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
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


class Kind(StrEnum):
    """The two kinds of model file that a prompt names."""

    MODEL = "model"
    LORA = "lora"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """What is known about one file; "" and None where nobody has said.

    `name` is as the endpoint knows it, without ending; `alias` another name for people. Sides are pixels,
    `steps` and `sampler` what the file draws best with.
    """

    kind: Kind
    name: str
    alias: str = ""
    architecture: str = ""
    trigger_words: tuple[str, ...] = ()
    non_commercial: bool = False
    disabled: bool = False
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    sampler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The model files behind an endpoint. `name` is "" for a set that was never released.

    `default_model` is the name of the model that draws when nobody names one, "" where that is not known.
    `is_whole` False: there are files beside these. `newer` names a release that the next update brings, and
    `coming` are the files that it adds.
    """

    files: tuple[ModelFile, ...] = ()
    name: str = ""
    default_model: str = ""
    is_whole: bool = True
    newer: str = ""
    coming: tuple[ModelFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the endpoint offers. An empty `loras` means that every LoRA is unknown.

    `leaves_to_endpoint` are the kinds whose names nobody has listed: any plain name passes, and the endpoint
    refuses what it lacks. `commercial_only` hides and refuses files that must not earn money.
    """

    models: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ("Euler", "Euler a", "DDIM", "DPM++ 2M")
    styles: tuple[str, ...] = tuple(STYLES)
    constructs: frozenset[Construct] = frozenset({Construct.BREAK})
    release: Release = Release()
    leaves_to_endpoint: frozenset[Kind] = frozenset()
    commercial_only: bool = False

    def offering(self, release: Release | None) -> "Catalogue":
        """The same rules over what an endpoint holds; None where it is not known.

        Models that the rules list by name stay the only ones, as far as the endpoint holds them.
        """
        unlisted = {Kind.LORA} if self.models else {Kind.MODEL, Kind.LORA}
        if release is None:
            return replace(self, leaves_to_endpoint=frozenset(unlisted))
        kept = [file for file in release.files if self._why_not(file) is None]
        there = replace(self, release=release)
        listed = tuple(name for name in self.models if there.holds(name))
        return replace(
            there,
            models=listed if self.models else tuple(file.name for file in kept if file.kind is Kind.MODEL),
            loras=tuple(file.name for file in kept if file.kind is Kind.LORA),
            leaves_to_endpoint=frozenset() if release.is_whole else frozenset(unlisted),
        )

    def names(self, kind: Kind) -> tuple[str, ...]:
        """What may be typed: names, and aliases of what they stand for."""
        listed = self.models if kind is Kind.MODEL else self.loras
        known = set(listed)
        of_kind = [file for file in self.release.files if file.kind is kind and file.name in known]
        return (*listed, *(file.alias for file in of_kind if file.alias))

    def find(self, kind: Kind, typed: str) -> str | None:
        """The endpoint's name for what was typed, None when there is no such thing."""
        known = find_name(typed, self.names(kind))
        if known is None:
            passes = kind in self.leaves_to_endpoint and self.refusal(kind, typed) is None
            return typed if passes and is_plain(typed) else None
        file = self.file(kind, known)
        listed = self.models if kind is Kind.MODEL else self.loras
        return known if known in listed or file is None else file.name

    def file(self, kind: Kind, name: str | None) -> ModelFile | None:
        """What is known about a name or alias, None when nothing is."""
        of_kind = [file for file in self.release.files if file.kind is kind]
        known = find_name(name, [file.name for file in of_kind]) if name else None
        wanted = known or (find_name(name, [file.alias for file in of_kind if file.alias]) if name else None)
        return next((file for file in of_kind if wanted and wanted in (file.name, file.alias)), None)

    def refusal(self, kind: Kind, typed: str) -> str | None:
        """Why a file that is there may not be used; None when it may, or is not there."""
        file = self.file(kind, typed)
        return self._why_not(file) if file else None

    def fitting(self, model: str | None) -> tuple[str, ...]:
        """The LoRAs not known to be made for another architecture than `model`'s (None: the one that draws
        when nobody names one).
        """
        ours = self.architecture(Kind.MODEL, model or self.release.default_model)
        made_for = {file.name: file.architecture for file in self.release.files if file.kind is Kind.LORA}
        return tuple(name for name in self.loras if not ours or made_for.get(name) in (None, "", ours))

    def architecture(self, kind: Kind, name: str) -> str:
        """As "sd1" or "sdxl"; "" where it is not known."""
        file = self.file(kind, name)
        return file.architecture if file else ""

    def holds(self, model: str) -> bool:
        """Whether this model is there and may be used. Of what nobody has listed, any may be there."""
        file = self.file(Kind.MODEL, model)
        return self._why_not(file) is None if file else not self.release.is_whole

    def _why_not(self, file: ModelFile) -> str | None:
        if file.disabled:
            return "it is switched off"
        if file.non_commercial and self.commercial_only:
            return "its licence does not allow commercial use"
        return None


SPELLINGS = {"eulerancestral": "eulera", "keuler": "euler", "keulera": "eulera", "keulerancestral": "eulera"}
_PLAIN = re.compile(r"\w[\w.+-]*(?: [\w.+-]+)*")


def is_plain(name: str) -> bool:
    """Whether a name that nobody has listed may be passed on: no brackets, quotes or colons."""
    return len(name) <= LONGEST_NAME and _PLAIN.fullmatch(name) is not None and name[-1] != "."


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
