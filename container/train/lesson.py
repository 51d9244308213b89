"""One step of teaching: what the UNet is shown, and how wrong it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from container.diffusers_engine.autoencoder import Autoencoder
from container.diffusers_engine.loaded_model import Architecture, Embeddings, LoadedModel
from container.diffusers_engine.prompt_encoder import Conditioning, PromptEncoder
from container.train.captioned import Captioned

_STATES = 77
"""Only the first chunk of a caption is learned from, as every trainer does by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that is learned from, encoded once: latents (n, 4, h, w), captions, and what no words are."""

    latents: torch.Tensor
    captions: tuple[Conditioning, ...]
    nothing: Conditioning
    side: int


def encode_material(model: LoadedModel, captioned: Sequence[Captioned], *, side: int) -> Material:
    """Raises `TrainingError` for a picture that cannot be read."""
    encoder = PromptEncoder(model, Embeddings())
    autoencoder = Autoencoder(model, model.vae)
    with torch.no_grad():
        latents = [autoencoder.encode_tensor(torch.from_numpy(each.pixels(side))[None]) for each in captioned]
    return Material(
        latents=torch.cat(latents),
        captions=tuple(_usable(encoder.encode(each.caption)) for each in captioned),
        nothing=_usable(encoder.encode("")),
        side=side,
    )


def loss_of_step(
    model: LoadedModel, material: Material, *, step: int, seed: int, batch_size: int, caption_dropout: float
) -> torch.Tensor:
    """The mean squared error of one prediction. What is drawn at random follows from seed and step alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    chosen = torch.randint(len(material.captions), (batch_size,), generator=generator)
    latents = material.latents[chosen.to(material.latents.device)]
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    times = torch.randint(len(model.alphas_cumprod), (batch_size,), generator=generator)
    kept = torch.rand(batch_size, generator=generator) >= caption_dropout
    power = model.alphas_cumprod[times].to(latents)[:, None, None, None]
    noisy = power.sqrt() * latents + (1 - power).sqrt() * noise
    pairs = zip(chosen.tolist(), kept.tolist(), strict=True)
    told = [material.captions[index] if has_words else material.nothing for index, has_words in pairs]
    predicted = model.unet(
        noisy.to(model.dtype),
        times.to(latents.device),
        encoder_hidden_states=torch.cat([each.states for each in told]),
        added_cond_kwargs=_added(model, told, material.side),
    ).sample
    is_velocity = model.prediction_type == "v_prediction"
    wanted = power.sqrt() * noise - (1 - power).sqrt() * latents if is_velocity else noise
    return functional.mse_loss(predicted.float(), wanted.float())


def _added(model: LoadedModel, told: Sequence[Conditioning], side: int) -> dict[str, Any] | None:
    """What SDXL is told beside words: their pooled form, and sizes before and after an uncropped cut."""
    if model.architecture is not Architecture.SDXL:
        return None
    times = torch.tensor([[side, side, 0, 0, side, side]] * len(told), device=model.device, dtype=model.dtype)
    pooled = [each.pooled for each in told if each.pooled is not None]
    return {"text_embeds": torch.cat(pooled).to(model.dtype), "time_ids": times}


def _usable(encoded: Conditioning) -> Conditioning:
    """Copies that gradients may pass: what is made in inference mode may not be learned from."""
    pooled = None if encoded.pooled is None else encoded.pooled.clone()
    return Conditioning(states=encoded.states[:, :_STATES].clone(), pooled=pooled)
