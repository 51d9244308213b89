"""Enlarging with a network, piece by piece: memory is bounded however large the picture is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from container.graphs import Array
from container.serving.engine import Picture

TILE = 256
"""Pixels a side that go through a network at once, without the surroundings it sees."""


class Network(Protocol):
    """Enlarges pictures by a whole factor."""

    @property
    def factor(self) -> int:
        """How many times the side its results have; at least 1."""

    @property
    def context(self) -> int:
        """Pixels around a place that a result may depend on, or so nearly all of them that no seam shows."""

    def __call__(self, pictures: Array, /) -> Array:
        """(1, 3, h, w) to (1, 3, factor * h, factor * w), both in 0 .. 1 or a little beyond."""


def enlarged(picture: Picture, network: Network, *, width: int, height: int, tile: int = TILE) -> Picture:
    """The picture at exactly `width` x `height` pixels.

    The network is applied as often as it takes (as webui does) and what is too large then resampled. A
    picture that shall not grow is only resampled.
    """
    rows, columns = picture.shape[:2]
    if (rows >= height and columns >= width) or network.factor == 1:
        resampled = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(resampled)
    once = columns * network.factor, rows * network.factor
    if once[0] < width or once[1] < height:
        picture = _once(picture, network, once, tile)
        return enlarged(picture, network, width=width, height=height, tile=tile)
    return _once(picture, network, (width, height), tile)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A rectangle of the result: (left, top, right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


def _once(picture: Picture, network: Network, size: tuple[int, int], tile: int) -> Picture:
    """The picture at `size`, at most `network.factor` times its own, the network applied once."""
    rows, columns = picture.shape[:2]
    scale = columns / size[0], rows / size[1]
    result = np.empty((size[1], size[0], 3), dtype=np.uint8)
    for piece in _pieces(size, max(1, int(tile / scale[0])), max(1, int(tile / scale[1]))):
        drawn = _drawn(picture, network, piece, scale)
        result[piece.top : piece.bottom, piece.left : piece.right] = drawn
    return result


def _pieces(size: tuple[int, int], width: int, height: int) -> Iterator[_Piece]:
    for top in range(0, size[1], height):
        for left in range(0, size[0], width):
            yield _Piece(
                left=left, top=top, right=min(size[0], left + width), bottom=min(size[1], top + height)
            )


def _drawn(picture: Picture, network: Network, piece: _Piece, scale: tuple[float, float]) -> Picture:
    """One piece, drawn with its surroundings and resampled as if the whole picture were there."""
    rows, columns = picture.shape[:2]
    left, right = piece.left * scale[0], piece.right * scale[0]
    top, bottom = piece.top * scale[1], piece.bottom * scale[1]
    around_x = network.context + _lanczos_reach(scale[0])
    around_y = network.context + _lanczos_reach(scale[1])
    first_x, first_y = max(0, math.floor(left) - around_x), max(0, math.floor(top) - around_y)
    last_x = min(columns, math.ceil(right) + around_x)
    last_y = min(rows, math.ceil(bottom) + around_y)
    image = Image.fromarray(_applied(network, picture[first_y:last_y, first_x:last_x]))
    across = (left - first_x) * network.factor, min(image.width, (right - first_x) * network.factor)
    down = (top - first_y) * network.factor, min(image.height, (bottom - first_y) * network.factor)
    return _resampled(image, piece.size, across=across, down=down)


def _resampled(
    image: Image.Image, size: tuple[int, int], *, across: tuple[float, float], down: tuple[float, float]
) -> Picture:
    """The part of `image` from one edge to the other, at `size`.

    Always first across, then down: Pillow takes the cheaper order, and what is clipped in between differs.
    """
    width, height = size
    lanczos = Image.Resampling.LANCZOS
    narrow = image.resize((width, image.height), lanczos, box=(across[0], 0, across[1], image.height))
    return np.asarray(narrow.resize((width, height), lanczos, box=(0, down[0], width, down[1])))


def _lanczos_reach(scale: float) -> int:
    """Pixels of the picture that resampling looks beyond a place: three of the result's, and one more."""
    return math.ceil(3 * scale) + 1


def _applied(network: Network, picture: Picture) -> Picture:
    pictures = (picture.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    drawn = network(np.ascontiguousarray(pictures))[0].transpose(1, 2, 0)
    result: Picture = np.rint(drawn * np.float32(255)).clip(0, 255).astype(np.uint8)
    return result
