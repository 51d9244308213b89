"""Drawing anew only what a mask shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch.nn import functional

from container.diffusers_engine.pictures import fitted, read_picture, resized
from container.serving.engine import Fill, Mask, Picture

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inpainting:
    """A picture at the size asked for, and the part of it to draw anew.

    `mask`: an "L" image of the picture's size with soft edges, white where to draw. `box`: the part that is
    drawn at the model's size and put back.
    """

    picture: Image.Image
    mask: Image.Image
    box: Box
    fill: Fill

    def start(self, size: tuple[int, int]) -> Image.Image:
        """What is drawn over, at (width, height)."""
        picture = self.picture
        if self.fill is Fill.FILL:
            picture = surroundings_spread(picture, self.mask)
        return picture.crop(self.box).resize(size, Image.Resampling.LANCZOS)

    def latent_mask(self, size: tuple[int, int]) -> torch.Tensor:
        """1 where to draw anew, else 0, as (1, 1, height, width) for latents of (width, height)."""
        small = self.mask.crop(self.box).resize(size, Image.Resampling.BOX)
        return torch.from_numpy(np.array(small, dtype=np.float32) / 255).round()[None, None]

    def put_back(self, drawn: Picture) -> Picture:
        """The whole picture: as it was outside the mask, to the pixel."""
        left, top, right, bottom = self.box
        whole = np.array(self.picture)
        share = _shares(self.mask)[top:bottom, left:right, None]
        part = resized(drawn, (right - left, bottom - top)).astype(np.float32)
        before = whole[top:bottom, left:right].astype(np.float32)
        whole[top:bottom, left:right] = np.rint(before + (part - before) * share).astype(np.uint8)
        return whole


def read_inpainting(picture: Image.Image, mask: Mask, *, resize_mode: int) -> Inpainting:
    """The mask brought to the picture's size the way the picture was. Raises `BadRequest` naming the mask.

    An empty mask draws nothing anew. webui cuts the part of `only_masked` from the picture as it was sent;
    here it is cut at the size asked for, which is also the size of the answer.
    """
    shape = fitted(read_picture(mask.file, field="mask").convert("L"), picture.size, resize_mode)
    if mask.inverted:
        shape = Image.eval(shape, lambda level: 255 - level)
    soft = shape.filter(ImageFilter.GaussianBlur((mask.blur_x, mask.blur_y)))
    whole = (0, 0, *picture.size)
    box = part_around(soft, padding=mask.padding) if mask.only_masked else whole
    return Inpainting(picture=picture, mask=soft, box=box, fill=mask.fill)


def part_around(mask: Image.Image, *, padding: int) -> Box:
    """The box around all that is not black, padded, in the mask's own proportions and within it."""
    width, height = mask.size
    left, top, right, bottom = mask.getbbox() or (0, 0, width, height)
    box = (
        max(0, left - padding),
        max(0, top - padding),
        min(width, right + padding),
        min(height, bottom + padding),
    )
    scale = max((box[2] - box[0]) / width, (box[3] - box[1]) / height)
    wide, high = min(width, round(width * scale)), min(height, round(height * scale))
    left = min(max(0, (box[0] + box[2] - wide) // 2), width - wide)
    top = min(max(0, (box[1] + box[3] - high) // 2), height - high)
    return left, top, left + wide, top + high


def surroundings_spread(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with the colours around the mask spread into it, the nearer the stronger."""
    pixels = torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)[None]
    kept = 1 - torch.from_numpy(_shares(mask))[None, None]
    spread = pixels.mean(dim=(2, 3), keepdim=True)
    for radius in (256, 64, 16, 4):
        weight = _blurred(kept, radius)
        colour = _blurred(pixels * kept, radius) / weight.clamp(min=1e-3)
        spread = spread + (colour - spread) * (weight * 4).clamp(max=1)
    filled = (pixels * kept + spread * (1 - kept)).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(filled[0].permute(1, 2, 0).numpy())


def _shares(mask: Image.Image) -> NDArray[np.float32]:
    return np.asarray(mask, dtype=np.float32) / np.float32(255)


def _blurred(planes: torch.Tensor, radius: int) -> torch.Tensor:
    """(1, n, height, width) averaged over squares of about `radius` pixels, with smooth ways between."""
    height, width = planes.shape[2:]
    squares = functional.adaptive_avg_pool2d(planes, (max(1, height // radius), max(1, width // radius)))
    return functional.interpolate(squares, size=(height, width), mode="bilinear")
