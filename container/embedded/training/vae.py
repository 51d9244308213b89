"""The autoencoder: 64x64 pictures to 8x8 latents of 4 channels and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name every torch text uses)

from container.embedded.training.budget import warm_fall
from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.pace import Pace
from container.embedded.training.scenes import SceneSampler
from container.embedded.training.thing import Thing

VAE_CONFIG = {
    "block_out_channels": [32, 32, 64, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "sample_size": 64,
    "scaling_factor": 0.18215,
}
BATCH = 16
CROP = 32
"""Side of the crops for most of the training: four times the steps for the same work."""
WHOLE_FROM = 0.97
"""The share of the training after which whole pictures are shown."""
COLOUR_STEPS = 300
"""Steps over which three latent channels are led towards the mean colour, which else is learned very late."""
POOL = 12_000
KL_WEIGHT = 1e-6
PEAK_RATE = 1e-3


def train_vae(things: tuple[Thing, ...], run: Run, *, steps: int) -> AutoencoderKL:
    """Train the autoencoder, resuming from vae.pt; its scaled latents have unit variance."""
    torch.manual_seed(run.seed)
    vae = AutoencoderKL(**VAE_CONFIG)
    optimizer = torch.optim.AdamW(
        vae.parameters(), lr=PEAK_RATE, weight_decay=1e-4, betas=(0.9, 0.99), fused=True
    )
    state = load_checkpoint(run.folder / "vae.pt")
    start = 0
    if state:
        vae.load_state_dict(state["model"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    if start >= steps:
        return vae
    pool = picture_pool(things, count=POOL, seed=run.seed)
    pace = Pace(run.threads)
    for step in range(start, steps):
        pace.step()
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * warm_fall(step, step / steps)
        batch = _batch(
            pool, np.random.default_rng((run.seed, step)), side=CROP if step < WHOLE_FROM * steps else 64
        )
        loss = _loss(vae, batch, colour_weight=max(0.0, 1 - step / COLOUR_STEPS))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        done = step + 1
        if done % 50 == 0:
            print(f"vae {done}/{steps} loss {loss.item():.4f} {pace.report()}", flush=True)
        if done % 200 == 0 and done < steps:
            _save(run.folder, vae, optimizer, done)
    standardise_latents(vae, pool[:2048])
    _save(run.folder, vae, optimizer, steps)
    return vae


def _save(folder: Path, vae: AutoencoderKL, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {"model": vae.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    save_checkpoint(folder / "vae.pt", state)


def picture_pool(things: tuple[Thing, ...], *, count: int, seed: int) -> NDArray[np.uint8]:
    """`count` square pictures, every thing equally often; shape (count, 64, 64, 3)."""
    sampler = SceneSampler(things, np.random.default_rng(seed))
    return np.stack([sampler.draw(things[i % len(things)], height=64, width=64)[1] for i in range(count)])


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, h, w, 3) to float (n, 3, h, w) in -1 .. 1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _batch(pool: NDArray[np.uint8], rng: np.random.Generator, *, side: int) -> Tensor:
    chosen = rng.integers(len(pool), size=BATCH)
    corners = rng.integers(0, pool.shape[1] - side + 1, size=(BATCH, 2))
    crops = [
        pool[i, top : top + side, left : left + side] for i, (top, left) in zip(chosen, corners, strict=True)
    ]
    return to_tensor(np.stack(crops))


def _loss(vae: AutoencoderKL, batch: Tensor, *, colour_weight: float) -> Tensor:
    posterior = vae.encode(batch).latent_dist
    drawn = vae.decode(posterior.sample()).sample
    loss = F.l1_loss(drawn, batch) + F.mse_loss(drawn, batch) + KL_WEIGHT * posterior.kl().mean()
    loss = loss + 0.5 * (
        F.l1_loss(drawn.diff(dim=-1), batch.diff(dim=-1)) + F.l1_loss(drawn.diff(dim=-2), batch.diff(dim=-2))
    )
    loss = loss + F.l1_loss(F.avg_pool2d(drawn, 4), F.avg_pool2d(batch, 4))
    if colour_weight > 0:
        loss = loss + colour_weight * F.mse_loss(posterior.mean[:, :3], 3 * F.avg_pool2d(batch, 8))
    return loss


@torch.no_grad()
def standardise_latents(vae: AutoencoderKL, pictures: NDArray[np.uint8]) -> None:
    """Fold a scale and a shift into both quant convolutions: latents * 0.18215 get mean 0, deviation 1."""
    moments = torch.cat(
        [vae.encode(to_tensor(part)).latent_dist.mean for part in np.array_split(pictures, 64)]
    )
    mean = moments.mean(dim=(0, 2, 3))
    scale = 1 / (moments.std(dim=(0, 2, 3)) * VAE_CONFIG["scaling_factor"])
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.weight[:4] *= scale[:, None, None, None]
    quant.bias[:4] = (quant.bias[:4] - mean) * scale
    quant.bias[4:] += 2 * scale.log()
    post.bias += (post.weight[:, :, 0, 0] * mean).sum(dim=1)
    post.weight /= scale[None, :, None, None]
