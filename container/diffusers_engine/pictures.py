"""Between picture files, pictures and tensors; and how a picture is brought to the size asked for."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageOps

from container.serving.engine import Picture
from container.serving.errors import BadRequest

STRETCH, CROP, FILL, STRETCH_LATENTS = range(4)
"""webui's `resize_mode`."""


def read_picture(file: bytes, *, field: str) -> Image.Image:
    """The picture file the right way up, on white. Raises `BadRequest` naming the field."""
    try:
        with Image.open(io.BytesIO(file)) as image:
            rgba = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError) as error:
        raise BadRequest("the picture does not decode", field=field) from error
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def fitted(image: Image.Image, size: tuple[int, int], mode: int) -> Image.Image:
    """The image at (width, height): stretched, cropped in its middle, or its edges drawn out to fill."""
    if mode not in (CROP, FILL):
        return image.resize(size, Image.Resampling.LANCZOS)
    if mode == CROP:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    inner = np.asarray(ImageOps.contain(image, size, Image.Resampling.LANCZOS))
    missing = size[1] - inner.shape[0], size[0] - inner.shape[1]
    margins = [(each // 2, each - each // 2) for each in missing]
    return Image.fromarray(np.pad(inner, margins + [(0, 0)] * (inner.ndim - 2), mode="edge"))


def to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as (1, 3, height, width) in -1 .. 1."""
    pixels = np.array(image, dtype=np.float32) / np.float32(127.5) - 1
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def to_pictures(decoded: torch.Tensor) -> list[Picture]:
    """(n, 3, height, width) in -1 .. 1 as pictures; rounded where they lie, copied once."""
    scaled = ((decoded.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture stretched to (width, height)."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
