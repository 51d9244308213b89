"""From a ratio to pixels: near the model's pixel budget, on its grid, or one of its trained sizes."""

import functools
from fractions import Fraction
from math import log, sqrt

from bot.domain.request import Caps, Defaults

GRID = 8
"""Latents are an eighth of the picture, so sides are multiples of 8; of 64 is what SD was trained on."""

TRAINED_GRID = 64
SMALLEST_SIDE = 64
OFF_TRAINED_GRID = 0.2
RATIO_WEIGHT = 8.0
MATERIAL_DIFFERENCE = 0.03


@functools.lru_cache(maxsize=256)
def size_for_ratio(ratio: Fraction, *, defaults: Defaults, caps: Caps) -> tuple[int, int]:
    """(width, height) for `ratio` = width / height with about as many pixels as the defaults."""
    budget = min(defaults.width * defaults.height, caps.max_pixels)
    trained = [size for size in caps.sizes if size[0] * size[1] <= caps.max_pixels]
    sizes = trained or _grid_sizes(float(ratio), budget, caps.max_pixels)
    return min(sizes, key=lambda size: _misfit(size, float(ratio), budget))


def ratio_error(size: tuple[int, int], ratio: float) -> float:
    """How far the size's ratio is from `ratio`, the same for a shape and its flip; 0.01 is one percent."""
    return abs(log(size[0] / size[1] / ratio))


def differs_visibly(size: tuple[int, int], ratio: Fraction) -> bool:
    return ratio_error(size, float(ratio)) > MATERIAL_DIFFERENCE


def on_grid(side: int) -> int:
    """The nearest multiple of 8 that is not below 64."""
    return max(SMALLEST_SIDE, round(side / GRID) * GRID)


def within_pixels(width: int, height: int, *, max_pixels: int) -> tuple[int, int]:
    """The size shrunk, with its shape kept, until it has at most `max_pixels`."""
    if width * height <= max_pixels:
        return width, height
    scale = sqrt(max_pixels / (width * height))
    return (
        max(SMALLEST_SIDE, int(width * scale) // GRID * GRID),
        max(SMALLEST_SIDE, int(height * scale) // GRID * GRID),
    )


def simple_ratio(value: float) -> Fraction:
    """The simplest ratio within one percent of a decimal: 1.78 is 16/9."""
    for denominator in range(1, 40):
        candidate = Fraction(max(1, round(value * denominator)), denominator)
        if abs(float(candidate) / value - 1) < 0.01:
            return candidate
    return Fraction(value).limit_denominator(100)


def _grid_sizes(ratio: float, budget: int, max_pixels: int) -> list[tuple[int, int]]:
    middle = round(sqrt(budget / ratio) / GRID)
    heights = [step * GRID for step in range(max(8, middle * 2 // 3), middle * 3 // 2 + 2)]
    near = [
        (on_grid(int(height * ratio) + shift), height) for height in heights for shift in (-GRID, 0, GRID)
    ]
    return [size for size in near if size[0] * size[1] <= max_pixels] or [(SMALLEST_SIDE, SMALLEST_SIDE)]


def _misfit(size: tuple[int, int], ratio: float, budget: int) -> float:
    width, height = size
    off_grid = 0.0 if width % TRAINED_GRID == height % TRAINED_GRID == 0 else OFF_TRAINED_GRID
    return RATIO_WEIGHT * ratio_error(size, ratio) + abs(log(width * height / budget)) + off_grid
