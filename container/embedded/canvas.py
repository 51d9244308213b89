"""Between the model's small pictures and the sizes people ask for."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from container.embedded.networks import PIXELS_PER_LATENT
from container.graphs import Array
from container.upscaling.tiles import Network, enlarged

Picture = NDArray[np.uint8]

SHAPES = ((8, 8), (7, 9), (9, 7), (7, 10), (10, 7), (6, 10), (10, 6), (6, 11), (11, 6))
"""Latent shapes (height, width) the model draws natively: all near its trained number of pixels."""

_CLEAR_SIDE = 128
"""A drawn picture loses nothing when it is reduced to as many pixels as a square of this side has."""

_MOST_STRETCH = 1.12
"""A picture whose sides are off by less is stretched; beyond that its background is extended."""


def native_shape(width: int, height: int) -> tuple[int, int]:
    """The latent shape whose aspect ratio is nearest to width : height."""
    wanted = np.log(width / height)
    return min(SHAPES, key=lambda shape: abs(np.log(shape[1] / shape[0]) - wanted))


def to_pictures(decoded: Array) -> list[Picture]:
    """(n, 3, h, w) in -1 .. 1 to uint8 pictures (h, w, 3)."""
    scaled = np.rint((decoded.transpose(0, 2, 3, 1) + 1) * np.float32(127.5))
    return list(scaled.clip(0, 255).astype(np.uint8))


def resized(picture: Picture, network: Network, *, width: int, height: int) -> Picture:
    """The picture at exactly this size: smaller resampled, larger redrawn, extended where need be."""
    rows, columns = picture.shape[:2]
    stretch = (width / height) / (columns / rows)
    inner_w, inner_h = width, height
    if stretch > _MOST_STRETCH:
        inner_w = round(height * columns / rows)
    elif stretch < 1 / _MOST_STRETCH:
        inner_h = round(width * rows / columns)
    inner = _redrawn(Image.fromarray(picture), network, (inner_w, inner_h))
    return _extended(inner, width=width, height=height)


def _redrawn(image: Image.Image, network: Network, size: tuple[int, int]) -> Picture:
    """Drawn edges are some pixels wide: made small they are sharp, and the network keeps them so."""
    clear = image.reduce(max(1, round((image.width * image.height) ** 0.5 / _CLEAR_SIDE)))
    if clear.width >= size[0] or clear.height >= size[1]:
        return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    return enlarged(np.asarray(clear), network, width=size[0], height=size[1])


def _extended(picture: Picture, *, width: int, height: int) -> Picture:
    """`picture` amid a larger canvas; margins continue the colour of the nearest edge."""
    rows, columns = picture.shape[:2]
    if (rows, columns) == (height, width):
        return picture
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    if columns < width:
        canvas[:, :left] = np.median(picture[:, :2], axis=(0, 1))
        canvas[:, left:] = np.median(picture[:, -2:], axis=(0, 1))
    else:
        canvas[:top] = np.median(picture[:2], axis=(0, 1))
        canvas[top:] = np.median(picture[-2:], axis=(0, 1))
    canvas[top : top + rows, left : left + columns] = picture
    return canvas


def read_picture(file: bytes, *, shape: tuple[int, int]) -> Array:
    """A picture file, cropped in its middle, at a latent shape's pixels: (1, 3, h, w) in -1 .. 1."""
    height, width = shape[0] * PIXELS_PER_LATENT, shape[1] * PIXELS_PER_LATENT
    with Image.open(io.BytesIO(file)) as image:
        flat = _on_white(image)
    scale = max(width / flat.width, height / flat.height)
    size = max(width, round(flat.width * scale)), max(height, round(flat.height * scale))
    flat = flat.resize(size, Image.Resampling.LANCZOS)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    pixels = np.asarray(flat.crop((left, top, left + width, top + height)), dtype=np.float32)
    return (pixels / np.float32(127.5) - 1).transpose(2, 0, 1)[None]


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
