"""The tiny upscaler: four times the side, for drawn art and for what the detail decoder makes of it.

The network is Real-ESRGAN's "compact" one with its key names, so whatever reads such files reads this one:
`SRVGGNetCompact` in https://github.com/xinntao/Real-ESRGAN/blob/master/realesrgan/archs/srvgg_arch.py
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name every torch text uses)

from container.embedded.training.budget import Minutes, Steps, warm_fall
from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.detail import LATENT_NOISE, DetailDecoder
from container.embedded.training.pace import Pace
from container.embedded.training.scenes import VARIED, SceneSampler
from container.embedded.training.thing import Thing
from container.embedded.training.vae import VAE_CONFIG, to_tensor

FACTOR = 4
CHANNELS, CONVOLUTIONS = 64, 8
BATCH, PATCH = 16, 32
PEAK_RATE = 8e-4
UPSCALER_STEPS = 30_000
ART_SIDE = 512
"""Pixels of the art the scenes are made of: SVG drawings are as sharp at this size as at any other."""

REDUCED, DECODED = 1_600, 1_200
"""Pictures to learn from: art made smaller, and art that went through the autoencoder."""

COARSE_SHARE = 0.6
"""Until then in bfloat16, twice as fast where the processor has it; but steps of 1/255 are lost in it."""

HELD_OUT_EVERY = 12
"""Every so many things one is kept for measuring."""

Picture = NDArray[np.uint8]
_FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_DRAWN = {"noto": 0.5, "flat": 0.5}
_MIX = replace(VARIED, recolour=0.0, scale=(0.6, 1.0))
"""Recoloured things are blurred by it; colours vary by exchanging the channels instead."""


class Compact(nn.Module):
    """Pictures (n, 3, h, w) in 0 .. 1 to (n, 3, 4h, 4w), about 0 .. 1."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 3, padding=1), nn.PReLU(CHANNELS)]
        for _ in range(CONVOLUTIONS):
            layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.PReLU(CHANNELS)]
        layers.append(nn.Conv2d(CHANNELS, 3 * FACTOR**2, 3, padding=1))
        self.body = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.body:
            out = layer(out)
        upscaled: Tensor = F.pixel_shuffle(out, FACTOR) + F.interpolate(x, scale_factor=FACTOR)
        return upscaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A small picture and the one it should become, `FACTOR` times as large."""

    small: Picture
    large: Picture


def train_upscaler(
    things: tuple[Thing, ...],
    vae: AutoencoderKL,
    detail: DetailDecoder,
    run: Run,
    *,
    steps: int = UPSCALER_STEPS,
    minutes: float | None = None,
) -> Compact:
    """Train for `steps` in all, or for `minutes` from now, resuming from upscaler.pt.

    `things`: with pictures of `ART_SIDE` pixels.
    """
    torch.manual_seed(run.seed)
    network = Compact().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=PEAK_RATE, weight_decay=1e-5, betas=(0.9, 0.99), fused=True
    )
    step, share = 0, 0.0
    if state := load_checkpoint(run.folder / "upscaler.pt"):
        network.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, share = state["step"], state["share"]
    if minutes is None and step >= steps:
        return network
    pairs = _pairs(tuple(t for n, t in enumerate(things) if n % HELD_OUT_EVERY), vae, detail, seed=run.seed)
    measured = _reduced(things[::HELD_OUT_EVERY], np.random.default_rng(run.seed + 1), count=60, plain=True)
    budget = Minutes(minutes, done=share) if minutes is not None else Steps(steps)
    pace, recent = Pace(run.threads), list[float]()
    while (share := budget.share(step)) < 1:
        pace.step()
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * warm_fall(step, share)
        small, large = _batch(pairs, np.random.default_rng((run.seed, step)))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=share < COARSE_SHARE):
            drawn = network(small)
        loss = _loss(drawn.float(), large)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        step += 1
        if step % 200 == 0:
            mean = np.mean(recent[-200:])
            print(f"upscaler {step}, {share:.1%}: loss {mean:.4f} {pace.report()}", flush=True)
        if step % 1000 == 0 or budget.share(step) >= 1:
            print(f"upscaler {step}: {_compared(network, measured)}", flush=True)
            saved = {"model": network.state_dict(), "optimizer": optimizer.state_dict()}
            save_checkpoint(run.folder / "upscaler.pt", {**saved, "step": step, "share": share})
    return network


def _pairs(things: tuple[Thing, ...], vae: AutoencoderKL, detail: DetailDecoder, *, seed: int) -> list[Pair]:
    rng = np.random.default_rng(seed)
    return [*_reduced(things, rng, count=REDUCED), *_decoded(things, vae, detail, rng, count=DECODED)]


def _reduced(things: tuple[Thing, ...], rng: Generator, *, count: int, plain: bool = False) -> list[Pair]:
    """Scenes and what is left of them at a quarter of the side; `plain`: reduced without other damage."""
    drawn = SceneSampler(things, rng, mix=replace(_MIX, styles=_DRAWN))
    rendered = SceneSampler(things, rng, mix=replace(_MIX, styles={"3d": 1.0}))
    pairs = []
    for number in range(count):
        # The renders are stored at 256 pixels: beyond that they would teach blur.
        sampler, side = (rendered, 256) if number % 2 else (drawn, ART_SIDE)
        large = sampler.draw(things[number % len(things)], height=side, width=side)[1]
        small = _shrunk(large, Image.Resampling.BICUBIC) if plain else _damaged(large, rng)
        pairs.append(Pair(small=small, large=large))
    return pairs


def _shrunk(large: Picture, filter_: Image.Resampling) -> Picture:
    height, width = large.shape[:2]
    return np.asarray(Image.fromarray(large).resize((width // FACTOR, height // FACTOR), filter_))


def _damaged(large: Picture, rng: Generator) -> Picture:
    """Blurred a little or more, reduced in one of the usual ways, and half of the time a JPEG since."""
    blur = float(rng.choice([0.0, rng.uniform(0, 3), rng.uniform(3, 8)], p=[0.4, 0.4, 0.2]))
    image = Image.fromarray(large).filter(ImageFilter.GaussianBlur(blur))
    small = _shrunk(np.asarray(image), _FILTERS[rng.integers(len(_FILTERS))])
    if rng.random() < 0.5:
        return small
    file = io.BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=int(rng.integers(55, 96)))
    return np.asarray(Image.open(file))


@torch.no_grad()
def _decoded(
    things: tuple[Thing, ...], vae: AutoencoderKL, detail: DetailDecoder, rng: Generator, *, count: int
) -> list[Pair]:
    """Scenes as the detail decoder draws them from unclear latents, made smaller, and as they were."""
    styles = {"3d": 0.6, "noto": 0.3, "flat": 0.1}
    sampler = SceneSampler(things, rng, mix=replace(_MIX, styles=styles))
    pairs = []
    for number in range(count):
        scene = sampler.draw(things[number % len(things)], height=ART_SIDE, width=ART_SIDE)[1]
        image = Image.fromarray(scene)
        seen = np.asarray(image.resize((64, 64), Image.Resampling.BOX))
        latents = vae.encode(to_tensor(seen[None])).latent_dist.mean * VAE_CONFIG["scaling_factor"]
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        drawn = detail(latents + rng.uniform(*LATENT_NOISE) * noise)[0].permute(1, 2, 0).numpy()
        blurred = Image.fromarray(((drawn + 1) * 127.5).round().clip(0, 255).astype(np.uint8))
        side = int(rng.choice([64, 96, 128]))
        small = blurred.resize((side, side), Image.Resampling.BOX if side < 128 else Image.Resampling.LANCZOS)
        large = image.resize((side * FACTOR, side * FACTOR), Image.Resampling.LANCZOS)
        pairs.append(Pair(small=np.asarray(small), large=np.asarray(large)))
    return pairs


def _batch(pairs: list[Pair], rng: Generator) -> tuple[Tensor, Tensor]:
    patches = list(_patches(pairs, rng))
    small, large = (np.stack(side) for side in zip(*patches, strict=True))
    return _to_channels(small), _to_channels(large)


def _to_channels(pictures: Picture) -> Tensor:
    channels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return channels.contiguous(memory_format=torch.channels_last)


def _patches(pairs: list[Pair], rng: Generator) -> Iterator[tuple[Picture, Picture]]:
    """Places where something is seen, turned and mirrored and with exchanged colours."""
    for _ in range(BATCH):
        pair = pairs[rng.integers(len(pairs))]
        for _ in range(6):
            top, left = (int(rng.integers(side - PATCH + 1)) for side in pair.small.shape[:2])
            small = pair.small[top : top + PATCH, left : left + PATCH]
            if small.std(axis=(0, 1)).max() > 3:
                break
        end, right = (top + PATCH) * FACTOR, (left + PATCH) * FACTOR
        large = pair.large[top * FACTOR : end, left * FACTOR : right]
        turns, mirror, channels = int(rng.integers(4)), int(rng.choice([-1, 1])), rng.permutation(3)
        yield tuple(np.rot90(patch, turns)[::mirror, :, channels] for patch in (small, large))  # type: ignore[misc]


def _loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    edges = F.l1_loss(drawn.diff(dim=-1), wanted.diff(dim=-1))
    edges = edges + F.l1_loss(drawn.diff(dim=-2), wanted.diff(dim=-2))
    return F.l1_loss(drawn, wanted) + 0.5 * edges


@torch.no_grad()
def _compared(network: Compact, pairs: list[Pair]) -> str:
    ours, theirs = [], []
    for pair in pairs:
        small = _to_channels(pair.small[None])
        drawn = network(small)[0].permute(1, 2, 0).numpy() * 255
        ours.append(decibels(drawn.round().clip(0, 255), pair.large))
        size = pair.large.shape[1], pair.large.shape[0]
        lanczos = Image.fromarray(pair.small).resize(size, Image.Resampling.LANCZOS)
        theirs.append(decibels(np.asarray(lanczos), pair.large))
    return f"{np.mean(ours):.2f} dB on things it never saw, Lanczos {np.mean(theirs):.2f} dB"


def decibels(drawn: NDArray[np.generic], wanted: Picture) -> float:
    """Peak signal-to-noise ratio of pictures in 0 .. 255."""
    error = float(np.mean((drawn.astype(np.float64) - wanted) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-9))
