"""Between pictures and latents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from PIL import Image

from container.diffusers_engine.loaded_model import LoadedModel
from container.diffusers_engine.pictures import to_pictures, to_tensor
from container.diffusers_engine.tiling import tiled
from container.serving.engine import Picture


class Autoencoder:
    """A model's VAE, or another file's.

    Every picture goes through alone: memory stays small, and what it becomes does not depend on its batch.
    """

    def __init__(self, model: LoadedModel, vae: Any, *, tiling: bool = False) -> None:
        self._model = model
        self._network = vae
        self._tiling = tiling

    def encode(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Images of one size, sides multiples of 8, as scaled latents (n, 4, height / 8, width / 8).

        The mean of what the encoder answers: webui adds a little noise of its own.
        """
        return torch.cat([self.encode_tensor(to_tensor(image)) for image in images])

    def encode_tensor(self, picture: torch.Tensor) -> torch.Tensor:
        """As `encode`, for (1, 3, height, width) in -1 .. 1."""
        placed = picture.to(self._model.device, self._model.vae_dtype)
        with self._edges():
            latents: torch.Tensor = self._network.encode(placed).latent_dist.mean
        return latents.float() * self._model.latent_scaling

    def decode(self, latents: torch.Tensor) -> list[Picture]:
        """Scaled latents as pictures."""
        with self._edges():
            return [picture for each in latents.split(1) for picture in to_pictures(self._decoded(each))]

    def _edges(self) -> AbstractContextManager[None]:
        return tiled(self._network) if self._tiling else nullcontext()

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        scaled = latents / self._model.latent_scaling
        decoded: torch.Tensor = self._network.decode(scaled.to(self._model.vae_dtype), return_dict=False)[0]
        if decoded.isfinite().all() or self._model.vae_dtype is torch.float32:
            return decoded
        # Some VAEs overflow in half precision (SDXL's first one); webui's remedy too.
        try:
            decoded = self._network.to(torch.float32).decode(scaled, return_dict=False)[0]
        finally:
            self._network.to(self._model.vae_dtype)
        return decoded
