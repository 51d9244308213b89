"""Canny's edge detector, the one preprocessor of ControlNet that needs no model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_LOW, _HIGH = 100, 200
"""The extension's thresholds of the gradient's strength."""

_REACH = 64
"""Pixels along a line: a bound on the work a hostile picture can ask for."""


def edge_map(image: Image.Image) -> Image.Image:
    """White lines one pixel wide on black, where brightness changes (Canny 1986)."""
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(1.0)), dtype=np.float32)
    across, down = _sobel(grey)
    strength = np.abs(across) + np.abs(down)
    ridge = strength * _is_ridge(strength, across, down)
    lines = _connected(ridge >= _HIGH, ridge >= _LOW)
    return Image.fromarray((lines * 255).astype(np.uint8)).convert("RGB")


def _sobel(grey: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    p = np.pad(grey, 1, mode="edge")
    smooth_rows = p[:-2] + 2 * p[1:-1] + p[2:]
    smooth_columns = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    return smooth_rows[:, 2:] - smooth_rows[:, :-2], smooth_columns[2:] - smooth_columns[:-2]


def _is_ridge(
    strength: NDArray[np.float32], across: NDArray[np.float32], down: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Where neither neighbour along the gradient is stronger."""
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    ridge = np.zeros(strength.shape, dtype=bool)
    for number, (row, column) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead, behind = _shifted(strength, row, column), _shifted(strength, -row, -column)
        ridge |= (sector == number) & (strength > behind) & (strength >= ahead)
    return ridge


def _connected(strong: NDArray[np.bool_], weak: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The weak pixels that lead to a strong one within `_REACH` others."""
    for _ in range(_REACH):
        neighbours = [_shifted(strong, row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
        grown = weak & np.any(neighbours, axis=0)
        if (grown == strong).all():
            break
        strong = grown
    return strong


def _shifted(plane: NDArray[Any], row: int, column: int) -> NDArray[Any]:
    """The plane's value one pixel on in that direction, 0 beyond its edge."""
    padded = np.pad(plane, 1)
    return padded[1 + row : padded.shape[0] - 1 + row, 1 + column : padded.shape[1] - 1 + column]
