"""Checks an exported model against diffusers: `python -m container.embedded.training.verify [FOLDER]`.

Loads the `.safetensors` as any Stable Diffusion 1.x checkpoint, draws the same noise with both, prints the
largest differences. Exits 1 where they are not the same picture.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from transformers import CLIPTextConfig

from container.embedded.diffusion import Diffusion, Guidance, Walk
from container.embedded.networks import Networks
from container.embedded.noise import PictureNoise
from container.embedded.text import PromptEncoder
from container.embedded.tokenizer import vocabulary
from container.embedded.training.export import CLIP_TOKENS
from container.embedded.training.unet import TEXT_CONFIG, UNET_CONFIG
from container.embedded.training.vae import VAE_CONFIG

PROMPT, STEPS, SCALE, MOST = "a red apple on a blue background", 20, 7.0, 1e-3


def main(folder: Path) -> int:
    """Compare text states and final latents; both must agree within `MOST`."""
    with tempfile.TemporaryDirectory() as config:
        write_config(Path(config))
        pipeline = StableDiffusionPipeline.from_single_file(
            str(folder / "model.safetensors"),
            config=config,
            local_files_only=True,
            torch_dtype=torch.float32,
            safety_checker=None,
        )
    networks = Networks(folder, threads=2)
    positive, negative = PromptEncoder(networks).pair(PROMPT, "")
    noise = PictureNoise((7,), (0,), 0.0, (4, 8, 8))
    guidance = Guidance(prompt=positive, negative_prompt=negative, scale=SCALE)
    ours = Diffusion(networks).draw(
        noise, guidance, Walk(sampler="DDIM", steps=STEPS, after_step=lambda _done, _all: None)
    )
    first = PictureNoise((7,), (0,), 0.0, (4, 8, 8)).draw()
    differences = {
        "text states": float(np.abs(_text_states(pipeline) - positive).max()),
        "latents": float(np.abs(_latents(pipeline, first) - ours).max()),
    }
    for what, difference in differences.items():
        print(f"{what}: largest difference {difference:.2g}")
    return 0 if max(differences.values()) <= MOST else 1


def write_config(folder: Path) -> None:
    """The folder of configurations, without weights, that `from_single_file` needs to work offline."""
    UNet2DConditionModel(**UNET_CONFIG).save_config(folder / "unet")
    AutoencoderKL(**VAE_CONFIG).save_config(folder / "vae")
    CLIPTextConfig(vocab_size=CLIP_TOKENS, **TEXT_CONFIG).save_pretrained(folder / "text_encoder")
    # The embedded DDIM ends at noise level 0, as k-diffusion's samplers do: set_alpha_to_one.
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    ).save_config(folder / "scheduler")
    _write_tokenizer(folder / "tokenizer")
    parts = {
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        **{name: [None, None] for name in ("feature_extractor", "image_encoder", "safety_checker")},
    }
    _write_json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", **parts})


def _write_tokenizer(folder: Path) -> None:
    folder.mkdir()
    tokens, merges = vocabulary()
    _write_json(folder / "vocab.json", tokens)
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges), ""]))
    end = "<|endoftext|>"
    marks = {"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": end}
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **marks},
    )


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


@torch.no_grad()
def _text_states(pipeline: StableDiffusionPipeline) -> NDArray[np.float32]:
    tokens = pipeline.tokenizer(PROMPT, padding="max_length", max_length=77, return_tensors="pt").input_ids
    states: NDArray[np.float32] = pipeline.text_encoder(tokens).last_hidden_state.numpy()
    return states


def _latents(pipeline: StableDiffusionPipeline, noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Our walk starts a shade noisier than diffusers' (sigma instead of the root of sigma^2 + 1)."""
    signal = float(pipeline.scheduler.alphas_cumprod[951])
    start = noise * np.float32((1 - signal) ** 0.5)
    drawn = pipeline(
        PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        height=64,
        width=64,
        latents=torch.from_numpy(start),
        output_type="latent",
    )
    latents: NDArray[np.float32] = drawn.images.numpy()
    return latents


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]))
