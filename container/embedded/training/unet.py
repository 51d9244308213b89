"""The denoiser and its text encoder, trained together from scratch on encoded scenes."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from container.embedded.tokenizer import END, START, clip_tokenizer
from container.embedded.training.budget import Minutes, Steps, warm_fall
from container.embedded.training.checkpoint import Run, load_checkpoint, save_checkpoint
from container.embedded.training.latents import Bucket
from container.embedded.training.pace import Pace
from container.embedded.training.scenes import CaptionWriter
from container.embedded.training.thing import Thing
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
UNET_STEPS = 7_000
SQUARE_SHARE = 0.9
EMPTY_SHARE = 0.08
SHORT_TOKENS, LONG_TOKENS = 32, 77
LONG_SHARE, LONG_FROM = 0.15, 0.88
"""Captions are padded to CLIP's whole length in some batches, and in all after this share of the training."""
TEXT_RATE = 0.2
"""The text encoder's learning rate, as a share of the denoiser's: it knows its words already."""
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
        self.end = self._compact[END]

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
    steps: int = UNET_STEPS,
    minutes: float | None = None,
    peak_rate: float = PEAK_RATE,
) -> tuple[TextToLatent, Vocabulary]:
    """Train for `steps` in all, or for `minutes` from now, resuming from unet.pt.

    Returns the averaged weights.
    """
    workers = Workers()
    torch.manual_seed(run.seed)
    vocabulary = Vocabulary(CaptionWriter(things, np.random.default_rng(run.seed)))
    model, average = TextToLatent(len(vocabulary)), TextToLatent(len(vocabulary))
    average.load_state_dict(model.state_dict())
    optimizer = _optimizer(model)
    step, share = 0, 0.0
    if state := load_checkpoint(run.folder / "unet.pt"):
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        step, share = state["step"], state.get("share", 0.0)
    budget = Minutes(minutes, done=share) if minutes is not None else Steps(steps)
    share = budget.share(step)
    signal = alphas_cumprod()
    pace, recent = Pace(run.threads), list[float]()
    while share < 1:
        pace.step()
        rng = np.random.default_rng((run.seed, step, workers.rank))
        latents, tokens = _batch(buckets, CaptionWriter(things, rng), vocabulary, rng, share=share)
        for group in optimizer.param_groups:
            group["lr"] = peak_rate * group["share_of_rate"] * warm_fall(step, share)
        loss = _loss(model, latents, tokens, signal, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        workers.average(model, step=step)
        _follow(average, model, min(EMA_DECAY, (step + 1) / (step + 10)))
        recent.append(loss.item())
        if workers.meet_after(step):
            share = workers.agree(budget.share(step + 1))
        step += 1
        if workers.rank > 0:
            continue
        if step % 40 == 0:
            loss_now = np.mean(recent[-40:])
            print(f"unet {step}, {share:.1%}: loss {loss_now:.4f} {pace.report()}", flush=True)
        if step % 200 == 0 or share >= 1:
            saved = {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "step": step,
                "share": share,
            }
            save_checkpoint(run.folder / "unet.pt", {**saved, "optimizer": optimizer.state_dict()})
    return average, vocabulary


def _optimizer(model: TextToLatent) -> torch.optim.Optimizer:
    groups = [
        {"params": list(model.unet.parameters()), "share_of_rate": 1.0},
        {"params": list(model.text.parameters()), "share_of_rate": TEXT_RATE},
    ]
    return torch.optim.AdamW(groups, weight_decay=1e-2, betas=(0.9, 0.99), fused=True)


def _batch(
    buckets: tuple[Bucket, ...],
    writer: CaptionWriter,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
    *,
    share: float,
) -> tuple[Tensor, Tensor]:
    length = LONG_TOKENS if share >= LONG_FROM or rng.random() < LONG_SHARE else SHORT_TOKENS
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
