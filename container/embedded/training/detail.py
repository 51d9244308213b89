"""The detail decoder: from the same latents straight to 256x256 pixels.

Stable Diffusion's own decoder, kept for other loaders, draws 64x64. This one is trained on the art itself at
four times the side, with noise on the latents, so that it also tidies what the denoiser leaves
unclear.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name every torch text uses)

from container.embedded.training.budget import Minutes, Steps, warm_fall
from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.pace import Pace
from container.embedded.training.scenes import PLAIN, SceneSampler
from container.embedded.training.thing import Thing
from container.embedded.training.vae import VAE_CONFIG, to_tensor

BATCH = 16
POOL = 5_000
SIDE = 256
PEAK_RATE = 1.2e-3
DETAIL_STEPS = 5_000
LATENT_NOISE = (0.0, 0.3)
"""Least and most standard deviation of the noise added to the unit-variance latents."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(16, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))
        return out


class DetailDecoder(nn.Sequential):
    """Scaled latents (n, 4, h, w) to pictures (n, 3, 32h, 32w), about -1 .. 1."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(4, 128, 3, padding=1),
            *(ResidualBlock(128) for _ in range(3)),
            nn.Conv2d(128, 64 * 4, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(64) for _ in range(3)),
            nn.Conv2d(64, 48 * 4, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(48) for _ in range(2)),
            nn.SiLU(),
            nn.Conv2d(48, 3 * 64, 3, padding=1),
            nn.PixelShuffle(8),
        )


def train_detail(
    things: tuple[Thing, ...],
    vae: AutoencoderKL,
    run: Run,
    *,
    steps: int = DETAIL_STEPS,
    minutes: float | None = None,
) -> DetailDecoder:
    """Train for `steps` in all, or for `minutes` from now, resuming from detail.pt."""
    torch.manual_seed(run.seed)
    decoder = DetailDecoder()
    optimizer = torch.optim.AdamW(
        decoder.parameters(), lr=PEAK_RATE, weight_decay=1e-4, betas=(0.9, 0.99), fused=True
    )
    step, share = 0, 0.0
    if state := load_checkpoint(run.folder / "detail.pt"):
        decoder.load_state_dict(state["model"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        step, share = state["step"], state.get("share", 0.0)
    if minutes is None and step >= steps:
        return decoder
    pictures, latents = _pool(things, vae, seed=run.seed)
    budget = Minutes(minutes, done=share) if minutes is not None else Steps(steps)
    pace, recent = Pace(run.threads), list[float]()
    while (share := budget.share(step)) < 1:
        pace.step()
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * warm_fall(step, share)
        rng = np.random.default_rng((run.seed, step))
        chosen = rng.integers(len(pictures), size=BATCH)
        loss = _loss(decoder(_noisy(latents[chosen], rng)), to_tensor(pictures[chosen]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        step += 1
        if step % 50 == 0:
            loss_now = np.mean(recent[-50:])
            print(f"detail {step}, {share:.1%}: loss {loss_now:.4f} {pace.report()}", flush=True)
        if step % 200 == 0 or budget.share(step) >= 1:
            saved = {"model": decoder.state_dict(), "optimizer": optimizer.state_dict()}
            save_checkpoint(run.folder / "detail.pt", {**saved, "step": step, "share": share})
    return decoder


def _noisy(latents: Tensor, rng: np.random.Generator) -> Tensor:
    noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
    strength = torch.from_numpy(rng.uniform(*LATENT_NOISE, size=(len(latents), 1, 1, 1)).astype(np.float32))
    return latents + strength * noise


@torch.no_grad()
def _pool(things: tuple[Thing, ...], vae: AutoencoderKL, *, seed: int) -> tuple[NDArray[np.uint8], Tensor]:
    sampler = SceneSampler(things, np.random.default_rng(seed + 2), mix=PLAIN)
    pictures = np.stack(
        [sampler.draw(things[i % len(things)], height=SIDE, width=SIDE)[1] for i in range(POOL)]
    )
    small = np.stack(
        [np.asarray(Image.fromarray(p).resize((64, 64), Image.Resampling.BOX)) for p in pictures]
    )
    means = [vae.encode(to_tensor(part)).latent_dist.mean for part in np.array_split(small, 100)]
    return pictures, torch.cat(means) * VAE_CONFIG["scaling_factor"]


def _loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    loss = F.l1_loss(drawn, wanted)
    for _ in range(3):
        edges = F.l1_loss(drawn.diff(dim=-1), wanted.diff(dim=-1)) + F.l1_loss(
            drawn.diff(dim=-2), wanted.diff(dim=-2)
        )
        loss = loss + 0.5 * edges
        drawn, wanted = F.avg_pool2d(drawn, 2), F.avg_pool2d(wanted, 2)
    return loss
