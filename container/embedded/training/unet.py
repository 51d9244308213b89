"""The denoiser and its text encoder, trained together from scratch on encoded scenes."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from container.embedded.tokenizer import END, START, clip_tokenizer
from container.embedded.training.art import Thing
from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.latents import Bucket
from container.embedded.training.pace import Pace
from container.embedded.training.scenes import CaptionWriter
from container.embedded.training.vae import warm_cosine
from container.embedded.training.workers import Workers

TEXT_WIDTH = 96
UNET_LAYERS = 1
UNET_CONFIG = {
    "sample_size": 8,
    "block_out_channels": [64, 128, 192, 192],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": UNET_LAYERS,
    "attention_head_dim": 4,
    "cross_attention_dim": TEXT_WIDTH,
}
TEXT_CONFIG = {
    "hidden_size": TEXT_WIDTH,
    "intermediate_size": TEXT_WIDTH * 4,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
}
BATCH = 48
PEAK_RATE = 1e-3
SQUARE_SHARE = 0.85
EMPTY_SHARE = 0.1
SHORT_TOKENS, LONG_TOKENS = 24, 77
LONG_FROM = 0.85
"""The share of the training after which captions are padded to CLIP's whole length."""
EMA_DECAY = 0.996
MOST_SIGNAL, MOST_WEIGHT, MEAN_WEIGHT = 6.0, 20.0, 4.0
"""The loss weighs errors in the predicted noise as v-prediction would, (ratio + 1) / ratio, within bounds.

Plain or min-SNR weights leave the noisy half of the timesteps, where the prompt decides, almost no say.
"""


class Vocabulary:
    """The tokens the captions use, numbered compactly; every other token shares one learned row, number 0."""

    def __init__(self, writer: CaptionWriter) -> None:
        self._tokenizer = clip_tokenizer()
        ids = {i for text in writer.all_wordings() for i in self._tokenizer.encode(text).ids}
        self.token_ids = (-1, START, END, *sorted(ids))
        self._compact = {token: index for index, token in enumerate(self.token_ids)}

    def __len__(self) -> int:
        return len(self.token_ids)

    def encode(self, caption: str, *, length: int) -> list[int]:
        """Compact ids of the caption between its marks, padded with the end mark; `<unk>` becomes row 0."""
        ids: list[int] = []
        for part in caption.split(" <unk>"):
            ids += [0] * bool(ids) + [self._compact.get(i, 0) for i in self._tokenizer.encode(part).ids]
        start, end = self._compact[START], self._compact[END]
        marked = [start, *ids[: length - 2], end]
        return marked + [end] * (length - len(marked))


class TextToLatent(nn.Module):
    """The two networks that train together. `forward` predicts the noise in `noisy`."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.text = CLIPTextModel(CLIPTextConfig(vocab_size=vocabulary_size, **TEXT_CONFIG))
        self.unet = UNet2DConditionModel(**UNET_CONFIG)

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        context = self.text(tokens).last_hidden_state
        noise: Tensor = self.unet(noisy, timesteps, context, return_dict=False)[0]
        return noise


def alphas_cumprod() -> Tensor:
    """Stable Diffusion's noise schedule: signal power left at each of 1,000 timesteps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def train_unet(
    things: tuple[Thing, ...],
    buckets: tuple[Bucket, ...],
    run: Run,
    *,
    steps: int,
    peak_rate: float = PEAK_RATE,
) -> tuple[TextToLatent, Vocabulary]:
    """Train, resuming from unet.pt; returns the averaged weights."""
    workers = Workers()
    torch.manual_seed(run.seed)
    writer = CaptionWriter(things, np.random.default_rng(run.seed))
    vocabulary = Vocabulary(writer)
    model, average = TextToLatent(len(vocabulary)), TextToLatent(len(vocabulary))
    average.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=peak_rate, weight_decay=1e-2, betas=(0.9, 0.99), fused=True
    )
    state = load_checkpoint(run.folder / "unet.pt")
    start, whole_length = 0, False
    if state:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
        whole_length = state.get("whole_length", False)
    signal = alphas_cumprod()
    pace, recent = Pace(run.threads), list[float]()
    for step in range(start, steps):
        pace.step()
        rng = np.random.default_rng((run.seed, step, workers.rank))
        length = SHORT_TOKENS if step < LONG_FROM * steps else LONG_TOKENS
        if step == int(LONG_FROM * steps) and not whole_length:
            _extend_positions(model)
            _extend_positions(average)
            whole_length = True
        latents, tokens = _batch(buckets, CaptionWriter(things, rng), vocabulary, rng, length)
        for group in optimizer.param_groups:
            group["lr"] = peak_rate * warm_cosine(step, steps)
        loss = _loss(model, latents, tokens, signal, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        workers.average(model, step=step)
        _follow(average, model, min(EMA_DECAY, (step + 1) / (step + 10)))
        recent.append(loss.item())
        done = step + 1
        if workers.rank > 0:
            continue
        if done % 40 == 0:
            print(f"unet {done}/{steps} loss {np.mean(recent[-40:]):.4f} {pace.report()}", flush=True)
        if done % 200 == 0 or done == steps:
            saved = {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "step": done,
                "whole_length": whole_length,
            }
            save_checkpoint(run.folder / "unet.pt", {**saved, "optimizer": optimizer.state_dict()})
    return average, vocabulary


def _batch(
    buckets: tuple[Bucket, ...],
    writer: CaptionWriter,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
    length: int,
) -> tuple[Tensor, Tensor]:
    oblong = rng.random() >= SQUARE_SHARE
    bucket = buckets[int(rng.integers(1, len(buckets))) if oblong else 0]
    chosen = rng.integers(len(bucket.scenes), size=BATCH)
    captions = [writer.caption(bucket.scenes[i]) if rng.random() >= EMPTY_SHARE else "" for i in chosen]
    tokens = torch.tensor([vocabulary.encode(caption, length=length) for caption in captions])
    return bucket.latents[torch.from_numpy(chosen)], tokens


def _loss(
    model: TextToLatent, latents: Tensor, tokens: Tensor, signal: Tensor, rng: np.random.Generator
) -> Tensor:
    noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
    strata = (np.arange(len(latents)) + rng.random(len(latents))) / len(latents)
    timesteps = torch.from_numpy((strata * 1000).astype(np.int64))
    power = signal[timesteps][:, None, None, None]
    predicted = model(power.sqrt() * latents + (1 - power).sqrt() * noise, timesteps, tokens)
    ratio = (power / (1 - power)).flatten()
    weight = ((ratio + 1).clamp(max=MOST_SIGNAL) / ratio).clamp(max=MOST_WEIGHT) / MEAN_WEIGHT
    return (weight * (predicted - noise).square().mean(dim=(1, 2, 3))).mean()


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


@torch.no_grad()
def _extend_positions(model: TextToLatent) -> None:
    """Start the positions that were never trained from the last ones that were."""
    table = model.text.embeddings.position_embedding.weight
    table[SHORT_TOKENS:] = table[SHORT_TOKENS - 1]
