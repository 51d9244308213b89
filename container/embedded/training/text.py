"""Teaches the text encoder what the words look like, before the denoiser learns to read it.

Stable Diffusion starts from a text encoder that knows its words. This one would have to learn them from what
little the noise of each denoising step says about them, which is slow. So first it predicts the scene itself
from the caption: each of 16 hidden states a patch of 2x2 latents, the end mark's the picture as a whole. The
heads that read the predictions are thrown away; the states that hold them stay.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name every torch text uses)

from container.embedded.training.budget import warm_fall
from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.latents import Bucket
from container.embedded.training.pace import Pace
from container.embedded.training.scenes import CaptionWriter
from container.embedded.training.thing import Thing
from container.embedded.training.unet import SHORT_TOKENS, TEXT_WIDTH, TextToLatent, Vocabulary
from container.embedded.training.workers import Workers

BATCH = 128
PEAK_RATE = 2e-3
EMPTY_SHARE = 0.05
GRID = 4
"""The square's latents are predicted as GRID x GRID patches, row by row."""
PATCH_FROM = SHORT_TOKENS - GRID * GRID
"""The position whose state predicts the first patch; captions seldom reach it."""
PATCH_SIZE = 4 * (8 // GRID) ** 2


class LatentReader(nn.Module):
    """Reads a square's latents (n, 4, 8, 8) off hidden states: by patches, and off the end mark."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Linear(TEXT_WIDTH, PATCH_SIZE)
        self.whole = nn.Linear(TEXT_WIDTH, GRID * GRID * PATCH_SIZE)

    def forward(self, states: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """`states` (n, tokens, width), `ends` (n,): the position of each caption's first end mark."""
        patches = self.patches(states[:, PATCH_FROM : PATCH_FROM + GRID * GRID])
        whole = self.whole(states[torch.arange(len(states)), ends])
        return from_patches(patches), from_patches(whole.view(patches.shape))


def from_patches(patches: Tensor) -> Tensor:
    """(n, GRID * GRID, 4 * side * side) to (n, 4, 8, 8)."""
    side = 8 // GRID
    grid = patches.view(-1, GRID, GRID, 4, side, side)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, 4, 8, 8)


def train_text(things: tuple[Thing, ...], buckets: tuple[Bucket, ...], run: Run, *, steps: int) -> None:
    """Train the text encoder in unet.pt (or a new one), resuming from text.pt, and put it into unet.pt.

    The denoiser's training then starts at its first step again.
    """
    workers = Workers()
    torch.manual_seed(run.seed)
    vocabulary = Vocabulary(CaptionWriter(things, np.random.default_rng(run.seed)))
    model, reader = TextToLatent(len(vocabulary)), LatentReader()
    if trained := load_checkpoint(run.folder / "unet.pt"):
        model.load_state_dict(trained["average"])
    both = nn.ModuleDict({"text": model.text, "reader": reader})
    optimizer = torch.optim.AdamW(
        both.parameters(), lr=PEAK_RATE, weight_decay=1e-2, betas=(0.9, 0.98), fused=True
    )
    step = 0
    if state := load_checkpoint(run.folder / "text.pt"):
        both.load_state_dict(state["both"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    if step >= steps:
        return
    pace, recent = Pace(run.threads), list[float]()
    while step < steps:
        pace.step()
        rng = np.random.default_rng((run.seed, step, workers.rank))
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * warm_fall(step, step / steps)
        tokens, latents = _batch(buckets[0], CaptionWriter(things, rng), vocabulary, rng)
        loss = _loss(model, reader, tokens, latents, end=vocabulary.end)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        workers.average(both, step=step)
        recent.append(loss.item())
        step += 1
        if workers.rank > 0:
            continue
        if step % 50 == 0:
            print(f"text {step}/{steps} loss {np.mean(recent[-50:]):.4f} {pace.report()}", flush=True)
        if step % 200 == 0 or step == steps:
            saved = {"both": both.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            save_checkpoint(run.folder / "text.pt", saved)
    if workers.rank == 0:
        weights = model.state_dict()
        save_checkpoint(run.folder / "unet.pt", {"model": weights, "average": weights, "step": 0})


def _loss(model: TextToLatent, reader: LatentReader, tokens: Tensor, latents: Tensor, *, end: int) -> Tensor:
    """The mean of both readings' squared errors."""
    ends = (tokens == end).int().argmax(dim=1)
    patches, whole = reader(model.text(tokens).last_hidden_state, ends)
    return (F.mse_loss(patches, latents) + F.mse_loss(whole, latents)) / 2


def _batch(
    square: Bucket, writer: CaptionWriter, vocabulary: Vocabulary, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    chosen = rng.integers(len(square.scenes), size=BATCH)
    captions = [writer.caption(square.scenes[i]) if rng.random() >= EMPTY_SHARE else "" for i in chosen]
    tokens = torch.tensor([vocabulary.encode(caption, length=SHORT_TOKENS) for caption in captions])
    return tokens, square.latents[torch.from_numpy(chosen)]
