"""What a model draws when the line says nothing: its own size, steps and sampler where they are known."""

from dataclasses import replace
from fractions import Fraction

from bot.domain.prompt.catalogue import Catalogue, Kind, ModelFile, find_name
from bot.domain.prompt.sizes import on_grid
from bot.domain.request import Caps, Defaults


def drawing_defaults(model: str | None, defaults: Defaults, *, caps: Caps, catalogue: Catalogue) -> Defaults:
    """`defaults` with what the release says about `model`, None for the one that draws by itself.

    What the team's caps do not allow, or the engine does not have, is left as it was.
    """
    file = catalogue.file(Kind.MODEL, model or catalogue.release.default_model)
    if file is None:
        return defaults
    width, height = _size(file, defaults, caps)
    return replace(
        defaults,
        width=width,
        height=height,
        steps=min(file.steps, caps.max_steps) if file.steps else defaults.steps,
        sampler=find_name(file.sampler or "", catalogue.samplers) or defaults.sampler,
    )


def _size(file: ModelFile, defaults: Defaults, caps: Caps) -> tuple[int, int]:
    width, height = on_grid(file.width or defaults.width), on_grid(file.height or defaults.height)
    ratio = Fraction(max(width, height), min(width, height))
    if width * height > caps.max_pixels or ratio > Fraction(caps.max_ratio):
        return defaults.width, defaults.height
    return width, height
