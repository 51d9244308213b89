"""The UNet's training set: scenes drawn once, encoded once, kept as latents with their descriptions."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.scenes import PLAIN, Scene, SceneSampler
from container.embedded.training.thing import Thing
from container.embedded.training.vae import VAE_CONFIG, to_tensor

SQUARE = (64, 64)
OBLONG = ((56, 72), (72, 56), (48, 88), (88, 48))
SQUARE_VIEWS = 24
OBLONG_VIEWS = 2
"""Scenes per thing: in the square, and in each oblong shape (height, width)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Scenes of one shape: scaled latents (n, 4, height / 8, width / 8) and what each shows."""

    latents: Tensor
    scenes: tuple[Scene, ...]


def encode_scenes(things: tuple[Thing, ...], vae: AutoencoderKL, run: Run) -> tuple[Bucket, ...]:
    """The training set as buckets, square first; read from latents.pt where that exists."""
    path = run.folder / "latents.pt"
    stored = load_checkpoint(path)
    if stored is None:
        sampler = SceneSampler(things, np.random.default_rng(run.seed + 1), mix=PLAIN)
        shapes = [(SQUARE, SQUARE_VIEWS), *((shape, OBLONG_VIEWS) for shape in OBLONG)]
        stored = {"buckets": [_encode(things, vae, sampler, shape, views) for shape, views in shapes]}
        save_checkpoint(path, stored)
    return tuple(_bucket(entry) for entry in stored["buckets"])


def _bucket(entry: dict[str, object]) -> Bucket:
    latents, scenes = entry["latents"], entry["scenes"]
    assert isinstance(latents, Tensor)
    assert isinstance(scenes, list)
    return Bucket(latents.float(), tuple(Scene(**scene) for scene in scenes))


@torch.no_grad()
def _encode(
    things: tuple[Thing, ...], vae: AutoencoderKL, sampler: SceneSampler, shape: tuple[int, int], views: int
) -> dict[str, object]:
    latents, scenes = [], []
    for view in range(views):
        drawn = [sampler.draw(thing, height=shape[0], width=shape[1]) for thing in things]
        scenes += [asdict(scene) for scene, _ in drawn]
        pictures = np.stack([picture for _, picture in drawn])
        means = [vae.encode(to_tensor(part)).latent_dist.mean for part in np.array_split(pictures, 20)]
        latents.append(torch.cat(means) * VAE_CONFIG["scaling_factor"])
        print(f"latents {shape[1]}x{shape[0]} {view + 1}/{views}", flush=True)
    return {"latents": torch.cat(latents).half(), "scenes": scenes}
