"""What a batch starts from beside noise: pictures sent along, and masks over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from container.diffusers_engine.autoencoder import Autoencoder
from container.diffusers_engine.denoising import Held
from container.diffusers_engine.hires import enlarged
from container.diffusers_engine.inpainting import Inpainting, read_inpainting
from container.diffusers_engine.pictures import STRETCH_LATENTS, fitted, read_picture, resized, to_tensor
from container.diffusers_engine.sizes import Size, latent_size
from container.serving.engine import DrawRequest, Fill, Mask, Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a walk begins and ends.

    `latents` (n, 4, h, w) to draw over, what a mask holds, an inpainting UNet's condition, and how a drawn
    picture becomes the one asked for.
    """

    finish: Callable[[Picture], Picture]
    latents: torch.Tensor | None = None
    held: Held | None = None
    condition: torch.Tensor | None = None


def start_of(
    requests: Sequence[DrawRequest],
    size: Size,
    autoencoder: Autoencoder,
    *,
    takes_condition: bool,
    noise: Callable[[], torch.Tensor],
) -> Start:
    """The start of one request, or of several alike that have no mask, drawn at `size`."""
    request = requests[0]
    if request.mask:
        return _masked(request, request.mask, size, autoencoder, takes_condition=takes_condition, noise=noise)
    wanted = request.width, request.height
    condition = nothing_kept(size, autoencoder) if takes_condition else None
    latents = [_latents(each, size, autoencoder) for each in requests if each.init_images]
    return Start(
        finish=lambda picture: resized(picture, wanted),
        latents=torch.cat(latents) if latents else None,
        condition=condition,
    )


def _latents(request: DrawRequest, size: Size, autoencoder: Autoencoder) -> torch.Tensor:
    picture = read_picture(request.init_images[0], field="init_images")
    if request.resize_mode == STRETCH_LATENTS:
        own = max(8, picture.width // 8 * 8), max(8, picture.height // 8 * 8)
        latents = enlarged(autoencoder.encode([picture.resize(own)]), latent_size(size))
    else:
        at_size = fitted(picture, (request.width, request.height), request.resize_mode)
        latents = autoencoder.encode([at_size.resize(size, Image.Resampling.LANCZOS)])
    return latents.expand(request.batch_size, -1, -1, -1)


def _masked(
    request: DrawRequest,
    mask: Mask,
    size: Size,
    autoencoder: Autoencoder,
    *,
    takes_condition: bool,
    noise: Callable[[], torch.Tensor],
) -> Start:
    picture = read_picture(request.init_images[0], field="init_images")
    at_size = fitted(picture, (request.width, request.height), request.resize_mode)
    inpainting = read_inpainting(at_size, mask, resize_mode=request.resize_mode)
    start = inpainting.start(size)
    latents = autoencoder.encode([start]).expand(request.batch_size, -1, -1, -1)
    area = inpainting.latent_mask(latent_size(size)).to(latents.device)
    return Start(
        finish=inpainting.put_back,
        latents=_refilled(latents, area, inpainting.fill, noise),
        held=Held(latents=latents, mask=area),
        condition=_kept(inpainting, size, area, autoencoder) if takes_condition else None,
    )


def _refilled(
    latents: torch.Tensor, area: torch.Tensor, fill: Fill, noise: Callable[[], torch.Tensor]
) -> torch.Tensor:
    if fill is Fill.LATENT_NOISE:
        return latents * (1 - area) + noise() * area
    return latents * (1 - area) if fill is Fill.LATENT_NOTHING else latents


def nothing_kept(size: Size, autoencoder: Autoencoder) -> torch.Tensor:
    """An inpainting UNet's condition where everything is drawn anew: a full mask over a grey picture."""
    grey = autoencoder.encode_tensor(torch.zeros(1, 3, size[1], size[0]))
    return torch.cat([torch.ones_like(grey[:, :1]), grey], dim=1)


def _kept(inpainting: Inpainting, size: Size, area: torch.Tensor, autoencoder: Autoencoder) -> torch.Tensor:
    """The mask, and the latents of the picture with grey where it is to be drawn anew."""
    picture = to_tensor(inpainting.picture.crop(inpainting.box).resize(size, Image.Resampling.LANCZOS))
    kept = picture * (1 - inpainting.latent_mask(size))
    return torch.cat([area, autoencoder.encode_tensor(kept)], dim=1)
