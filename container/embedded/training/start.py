"""Starts a training from exported weights instead of from scratch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor, nn

from container.embedded.training.checkpoint import save_checkpoint
from container.embedded.training.export import ldm_key
from container.embedded.training.scenes import CaptionWriter
from container.embedded.training.thing import Thing
from container.embedded.training.unet import TextToLatent, Vocabulary
from container.embedded.training.vae import VAE_CONFIG

_TABLE = "embeddings.token_embedding.weight"


def start_from(model: Path, things: tuple[Thing, ...], *, folder: Path, vae_steps: int) -> None:
    """Write checkpoints into `folder` with the weights of `model` and the `detail.safetensors` beside it.

    The autoencoder counts as done after `vae_steps`; UNet and detail decoder start again at step 0 with fresh
    optimizers, so that the learning rate warms up and falls once more. Raises `FileExistsError` where
    `folder` has checkpoints already.
    """
    if any(folder.glob("*.pt")):
        raise FileExistsError(f"{folder} already holds checkpoints; choose an empty --work folder")
    exported = load_file(model)
    vae = AutoencoderKL(**VAE_CONFIG)
    save_checkpoint(folder / "vae.pt", {"model": _imported("vae", vae, exported), "step": vae_steps})
    detail = load_file(model.with_name("detail.safetensors"))
    weights = {key.removeprefix("detail."): value.float() for key, value in detail.items()}
    save_checkpoint(folder / "detail.pt", {"model": weights, "step": 0})
    vocabulary = Vocabulary(CaptionWriter(things, np.random.default_rng(0)))
    networks = TextToLatent(len(vocabulary))
    text = _with_compact_table(_imported("text", networks.text, exported), vocabulary)
    unet = _imported("unet", networks.unet, exported)
    both = {f"text.{key}": value for key, value in text.items()} | {f"unet.{k}": v for k, v in unet.items()}
    save_checkpoint(folder / "unet.pt", {"model": both, "average": both, "step": 0})


def _imported(part: str, module: nn.Module, exported: dict[str, Tensor]) -> dict[str, Tensor]:
    """The module's state, read from Stable Diffusion 1.x's names."""
    state = {}
    for key, value in module.state_dict().items():
        stored = exported[ldm_key(part, key)].float()
        state[key] = stored if key == _TABLE else stored.reshape(value.shape)
    return state


def _with_compact_table(state: dict[str, Tensor], vocabulary: Vocabulary) -> dict[str, Tensor]:
    whole = state[_TABLE]
    unknown = next(token for token in range(len(whole)) if token not in vocabulary.token_ids)
    rows = torch.tensor([unknown, *vocabulary.token_ids[1:]])
    return {**state, _TABLE: whole[rows]}
