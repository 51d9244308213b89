"""What the drawing half of the engine gets from the loading half."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import torch

Prediction = Literal["epsilon", "v_prediction"]


class Architecture(StrEnum):
    """The families this engine draws with. The values are what people read."""

    SD1 = "SD1.x"
    SD2 = "SD2.x"
    SDXL = "SDXL"
    SDXL_REFINER = "SDXL refiner"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A checkpoint ready to draw with, on `device`.

    `unet` and `vae` are diffusers models, `text_encoders` one (SD1, SD2: `CLIPTextModel`; refiner:
    `CLIPTextModelWithProjection`) or two (SDXL: `CLIPTextModel`, `CLIPTextModelWithProjection`), with their
    `tokenizers` in the same order. The UNet of an inpainting checkpoint takes 9 channels
    (`unet.config.in_channels`), of any other 4. `dtype` is that of UNet and text encoders; `vae_dtype` may be
    wider. `alphas_cumprod`: float32 on the CPU, signal power left at each of 1,000 timesteps; under
    `zero_terminal_snr` the last is nearly, not quite, zero. `latent_scaling` is what latents of the VAE are
    multiplied by. `native_side`: pixels of the square it was trained on. `name` is the catalogue's, `hash`
    webui's (10 hex digits) or "".
    """

    architecture: Architecture
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    tokenizers: tuple[Any, ...]
    prediction_type: Prediction
    zero_terminal_snr: bool
    alphas_cumprod: torch.Tensor
    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype
    vae_scale_factor: int
    latent_scaling: float
    native_side: int
    name: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraUse:
    """A LoRA to draw with: a name as people write it, and its weights for the two kinds of networks."""

    name: str
    unet_weight: float = 1.0
    text_encoder_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Textual inversions that fit a model.

    `vectors`: by word, one float32 tensor (vectors, width) for each text encoder of the model. `unusable`: by
    word, the sentence that says why a file is not among them.
    """

    vectors: Mapping[str, tuple[torch.Tensor, ...]] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)


class ModelSource(Protocol):
    """Where models come from. Not to be called from two threads at once.

    Every method raises `UnknownName` for a name that is not in the folder, and `NotSupported` (with the
    reason and, where there is one, the fix) for a file that cannot be used.
    """

    def open(self, name: str) -> LoadedModel:
        """The checkpoint, loaded if it is not in memory yet. What was opened before may be gone after."""

    def use_loras(self, model: LoadedModel, loras: Sequence[LoraUse]) -> tuple[str, ...]:
        """Make `model` draw with exactly these LoRAs, none if empty; the same ones again cost nothing.

        Returns sentences about parts of them that have no place in the model.
        """

    def vae(self, name: str, model: LoadedModel) -> Any:
        """A VAE file to use in place of the model's own."""

    def controlnet(self, name: str, model: LoadedModel) -> Any:
        """A diffusers `ControlNetModel` that fits the model, on its device and in its dtype."""

    def embeddings(self, model: LoadedModel) -> Embeddings:
        """The folder's textual inversions, as far as they fit the model."""

    def close(self) -> None:
        """Let go of everything."""
