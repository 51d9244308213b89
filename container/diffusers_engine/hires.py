"""The step between the two passes of webui's "hires fix": latents enlarged."""

from __future__ import annotations

import torch
from torch.nn import functional

_WAYS: dict[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""Interpolation and antialiasing by `LATENT_UPSCALERS`."""


def enlarged(latents: torch.Tensor, size: tuple[int, int], upscaler_name: str = "Latent") -> torch.Tensor:
    """Latents (n, c, h, w) at (width, height) latents."""
    mode, antialias = _WAYS[upscaler_name]
    return functional.interpolate(latents, size=size[::-1], mode=mode, antialias=antialias)
