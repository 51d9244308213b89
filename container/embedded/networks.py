"""The model's networks on ONNX Runtime: graphs without weights, fed from one checkpoint file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from container.embedded.weights import read_tensors

Array = NDArray[np.float32]
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
        self._text = _session(folder / "text_encoder.onnx", tensors, "cond_stage_model.", threads)
        self._unet = _session(folder / "unet.onnx", tensors, "model.diffusion_model.", threads)
        self._encoder = _session(folder / "vae_encoder.onnx", tensors, "first_stage_model.", threads)
        detail = read_tensors(folder / "detail.safetensors")
        self._decoder = _session(folder / "detail_decoder.onnx", detail, "detail.", threads)

    def encode_tokens(self, tokens: Tokens) -> Array:
        """Token ids (n, 77) to hidden states (n, 77, width)."""
        return _run(self._text, tokens=tokens)

    def predict_noise(self, latents: Array, timestep: float, context: Array) -> Array:
        """The noise in latents (n, 4, h, w) of unit variance at a timestep in 0 .. 999."""
        timesteps = np.full(len(latents), timestep, dtype=np.float32)
        return _run(self._unet, sample=latents, timestep=timesteps, context=context)

    def decode(self, latents: Array) -> Array:
        """Scaled latents (n, 4, h, w) to pictures (n, 3, 32h, 32w), about -1 .. 1."""
        return _run(self._decoder, latents=latents)

    def encode(self, pictures: Array) -> Array:
        """Pictures (n, 3, 8h, 8w) in -1 .. 1 to scaled latents (n, 4, h, w)."""
        return _run(self._encoder, pictures=pictures) * np.float32(LATENT_SCALE)


def _session(graph: Path, tensors: dict[str, Array], prefix: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = graph.read_bytes()
    used = {
        name: value for name, value in tensors.items() if name.startswith(prefix) and name.encode() in content
    }
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in used.values()]
    options.add_external_initializers(list(used), values)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: ort.InferenceSession, **inputs: NDArray[np.generic]) -> Array:
    output: Array = session.run(None, inputs)[0]
    return output
