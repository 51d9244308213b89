"""The shortest line that parses to a given request: what Details shows and what a person may copy."""

import re

from bot.domain.prompt.catalogue import Catalogue
from bot.domain.prompt.quoting import wrap
from bot.domain.prompt.subcommands import Draw, classify
from bot.domain.prompt.tokens import split
from bot.domain.prompt.values import quoted_name
from bot.domain.request import Defaults, ImageRequest

PLAIN_PHRASES = re.compile(r"[^\W_][\w, ]*")


def render(request: ImageRequest, defaults: Defaults) -> str:
    """One line: the prompt, then a flag for everything that is not a default.

    It parses back to the same request, except for `init_image`, which no line can name.
    """
    flags = _flags(request, defaults)
    plain = " ".join([request.prompt, *flags])
    return (
        plain if _reads_back(plain, request.prompt, len(flags)) else " ".join([wrap(request.prompt), *flags])
    )


def _reads_back(line: str, prompt: str, flag_count: int) -> bool:
    found = split(line, catalogue=Catalogue())
    return found.prompt.text == prompt and len(found.flags) == flag_count and isinstance(classify(line), Draw)


def _flags(request: ImageRequest, defaults: Defaults) -> list[str]:
    changed = {
        "width": (request.width, defaults.width),
        "height": (request.height, defaults.height),
        "n": (request.n, defaults.n),
        "steps": (request.steps, defaults.steps),
        "cfg": (request.guidance, defaults.guidance),
        "sampler": (request.sampler, defaults.sampler),
        "model": (request.model, None),
        "style": (request.style, None),
        "strength": (request.strength, None),
        "seed": (request.seed, None),
        "subseed": (request.subseed, None),
        "subseed-strength": (request.subseed_strength, 0.0),
    }
    flags = [f"--{name} {_value(value)}" for name, (value, default) in changed.items() if value != default]
    flags += [f"--lora {quoted_name(f'{use.name}:{_number(use.weight)}')}" for use in request.loras]
    if request.negative_prompt:
        flags.append(f"--no {_phrases(request.negative_prompt)}")
    return flags


def _value(value: object) -> str:
    return _number(value) if isinstance(value, int | float) else quoted_name(str(value))


def _number(value: float) -> str:
    """A number without exponent or needless zeros, as a person would type it."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _phrases(negative_prompt: str) -> str:
    return negative_prompt if PLAIN_PHRASES.fullmatch(negative_prompt) else wrap(negative_prompt)
