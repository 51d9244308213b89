"""What a prompt asks for beside words: `<lora:name:text encoder weight:unet weight>` and its like."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from container.diffusers_engine.loaded_model import LoraUse
from container.serving.errors import BadRequest

_TAG = re.compile(r"<(\w+):([^<>]*)>")
_LORA = frozenset({"lora", "lyco"})
_BRACKETED = re.compile(r"(?<!\\)\[([^\[\]]*)\]")
_AND = re.compile(r"\bAND\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPrompt:
    """A prompt's own words, the LoRAs it asks for, and sentences about what in it has no effect."""

    words: str
    loras: tuple[LoraUse, ...] = ()
    notes: tuple[str, ...] = ()


def read_prompt(prompt: str) -> ReadPrompt:
    """The prompt without its tags. Raises `BadRequest` for a LoRA's weight that is no number.

    A LoRA named several times counts with the sum of its weights.
    """
    loras: dict[str, LoraUse] = {}
    notes = _notes(prompt)
    for kind, arguments in _TAG.findall(prompt):
        if kind.lower() not in _LORA:
            notes.append(f"<{kind[:20]}:…> had no effect: this engine knows <lora:…> only")
            continue
        use = _lora(arguments)
        before = loras.get(use.name)
        loras[use.name] = _sum(before, use) if before else use
    return ReadPrompt(words=_TAG.sub("", prompt), loras=tuple(loras.values()), notes=tuple(notes))


def _notes(prompt: str) -> list[str]:
    notes = []
    if any(_is_editing(content) for content in _BRACKETED.findall(prompt)):
        notes.append(
            "prompt editing ([from:to:when], [one|other]) is not in this engine: read as plain words"
        )
    if _AND.search(prompt):
        notes.append("AND between prompts is not in this engine: read as a plain word")
    return notes


def _is_editing(bracketed: str) -> bool:
    """Whether `[…]` holds more than weaker words: `one|other`, or a number after its last colon."""
    _, colon, when = bracketed.rpartition(":")
    return "|" in bracketed or bool(colon and re.fullmatch(r"[\d.]+", when.strip()))


def _lora(arguments: str) -> LoraUse:
    """Of `name:te:unet`, `name:both`, or with `te=` and `unet=` in any order, as webui has it."""
    name, *rest = (part.strip() for part in arguments.split(":"))
    named = dict(part.split("=", 1) for part in rest if "=" in part)
    placed = [part for part in rest if "=" not in part]
    text = named.get("te", placed[0] if placed else "1")
    unet = named.get("unet", placed[1] if len(placed) > 1 else text)
    return LoraUse(name=name, unet_weight=_number(unet), text_encoder_weight=_number(text))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRequest("the weight of a <lora:…> is not a number", field="prompt")
    return number


def _sum(one: LoraUse, other: LoraUse) -> LoraUse:
    return LoraUse(
        name=one.name,
        unet_weight=one.unet_weight + other.unet_weight,
        text_encoder_weight=one.text_encoder_weight + other.text_encoder_weight,
    )
