"""The model's networks on ONNX Runtime: graphs without weights, fed from one checkpoint file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from container.graphs import Array, Graph
from container.weights import read_tensors

Tokens = NDArray[np.int64]

LATENT_SCALE = 0.18215
"""Stable Diffusion 1.x: latents times this have unit variance."""

PIXELS_PER_LATENT = 8


class Networks:
    """Text encoder, denoiser, the autoencoder's encoder, and the detail decoder that replaces its decoder.

    Results repeat bit for bit on one machine as long as `threads` stays the same.
    """

    def __init__(self, folder: Path, *, threads: int) -> None:
        tensors = read_tensors(folder / "model.safetensors")
        self._text = Graph(folder / "text_encoder.onnx", tensors, prefix="cond_stage_model.", threads=threads)
        self._unet = Graph(folder / "unet.onnx", tensors, prefix="model.diffusion_model.", threads=threads)
        self._encoder = Graph(
            folder / "vae_encoder.onnx", tensors, prefix="first_stage_model.", threads=threads
        )
        detail = read_tensors(folder / "detail.safetensors")
        self._decoder = Graph(folder / "detail_decoder.onnx", detail, prefix="detail.", threads=threads)

    def encode_tokens(self, tokens: Tokens) -> Array:
        """Token ids (n, 77) to hidden states (n, 77, width)."""
        return self._text.run(tokens=tokens)

    def predict_noise(self, latents: Array, timestep: float, context: Array) -> Array:
        """The noise in latents (n, 4, h, w) of unit variance at a timestep in 0 .. 999."""
        timesteps = np.full(len(latents), timestep, dtype=np.float32)
        return self._unet.run(sample=latents, timestep=timesteps, context=context)

    def decode(self, latents: Array) -> Array:
        """Scaled latents (n, 4, h, w) to pictures (n, 3, 32h, 32w), about -1 .. 1."""
        return self._decoder.run(latents=latents)

    def encode(self, pictures: Array) -> Array:
        """Pictures (n, 3, 8h, 8w) in -1 .. 1 to scaled latents (n, 4, h, w)."""
        return self._encoder.run(pictures=pictures) * np.float32(LATENT_SCALE)
