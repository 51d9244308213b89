"""Start-up with a checkpoint of real size, held against one bare process. By hand: it writes 2 GB.

    python -m tests.benchmarks.model_start [ROUNDS]

A Stable Diffusion 1.5 checkpoint with random weights in half precision goes into a temporary folder.
Taken in turns: the server from its start to the first `/ping` that answers 200, and one process that imports
the same engine, opens the same file and draws the same warm-up picture, without a server. Goal: 1.15 times at
most. The page cache is warm for both. A third process does the same with diffusers' own `from_single_file`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from container.diffusers_engine.ldm_names import unet_name, vae_name
from tests.benchmarks.figures import row, single

ROOT = Path(__file__).resolve().parents[2]
GOAL = 1.15
PATIENCE_S = 300

ENGINE_ALONE = """
import sys
from pathlib import Path
from container.engines import open_engine
from container.serving.drawing_queue import WARM_UP
from container.serving.model_folder import read_model_folder
from dataclasses import replace
engine = open_engine("diffusers", read_model_folder(Path(sys.argv[1])))
engine.setup()
engine.generate(replace(WARM_UP, sampler_name="Euler"), on_step=lambda done, steps: None)
"""
DIFFUSERS_ALONE = """
import sys
import torch
from diffusers import StableDiffusionPipeline
pipeline = StableDiffusionPipeline.from_single_file(
    sys.argv[1] + "/Stable-diffusion/random.safetensors", config=sys.argv[2], local_files_only=True,
    safety_checker=None, torch_dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
pipeline("", width=64, height=64, num_inference_steps=1)
"""


def main(rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        models, config = Path(folder) / "models", Path(folder) / "config"
        began = time.monotonic()
        path = write_checkpoint(models / "Stable-diffusion" / "random.safetensors", config)
        single("checkpoint written, GB", path.stat().st_size / 1e9, unit="GB")
        single("writing it took", time.monotonic() - began, unit="s")
        taken: dict[str, list[float]] = {
            "server to first ping": [],
            "engine alone": [],
            "diffusers alone": [],
        }
        for _ in range(rounds):
            taken["server to first ping"].append(until_ping(models))
            taken["engine alone"].append(until_end(ENGINE_ALONE, models))
            taken["diffusers alone"].append(until_end(DIFFUSERS_ALONE, models, config))
    for name, seconds in taken.items():
        row(name, seconds, unit="s")
    pairs = zip(taken["server to first ping"], taken["engine alone"], strict=True)
    row("server / engine alone", [server / alone for server, alone in pairs], unit="x", goal=f"goal {GOAL} x")


def until_ping(models: Path) -> float:
    """Seconds from the start of the server until it is healthy."""
    began = time.monotonic()
    command = [sys.executable, "-m", "container", "serve", "--engine", "diffusers", "--port", "0"]
    with subprocess.Popen(
        [*command, "--models", str(models)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split("/ engine")[0]
            while not is_healthy(f"{address}/ping"):
                if server.poll() is not None or time.monotonic() - began > PATIENCE_S:
                    raise RuntimeError("the server did not become healthy")
                time.sleep(0.02)
            return time.monotonic() - began
        finally:
            server.terminate()


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


def until_end(script: str, *arguments: Path) -> float:
    """Seconds that a process with this script takes until it has drawn and ended."""
    began = time.monotonic()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, env=environment, capture_output=True
    )
    return time.monotonic() - began


def write_checkpoint(path: Path, config: Path) -> Path:
    """Stable Diffusion 1.5's own sizes, random weights; `config` gets the folder diffusers asks for."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8, sample_size=64)
        vae = AutoencoderKL(
            block_out_channels=[128, 256, 512, 512],
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            layers_per_block=2,
            sample_size=512,
        )
        text = CLIPTextModel(TEXT)
    up = [kind.startswith("CrossAttn") for kind in unet.config.up_block_types]
    names = {
        **{
            f"model.diffusion_model.{unet_name(name, layers=2, up_attention=up)}": value
            for name, value in unet.state_dict().items()
        },
        **{
            f"first_stage_model.{vae_name(name, levels=4)}": value for name, value in vae.state_dict().items()
        },
        **{
            f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}": value
            for name, value in text.state_dict().items()
        },
    }
    path.parent.mkdir(parents=True)
    pool = (torch.randn(2**22, generator=torch.Generator().manual_seed(0)) * 0.02).half()
    save_file({name: filled(value, pool) for name, value in names.items()}, path)
    write_config(config, unet, vae)
    return path


def filled(wanted: torch.Tensor, pool: torch.Tensor) -> torch.Tensor:
    """Numbers of the pool, over and over: a billion fresh ones would take longer than all the rest."""
    repeats = -(-wanted.numel() // pool.numel())
    return pool.repeat(repeats)[: wanted.numel()].reshape(wanted.shape).clone()


TEXT = CLIPTextConfig(
    vocab_size=49408,
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    hidden_act="quick_gelu",
)


def write_config(folder: Path, unet: UNet2DConditionModel, vae: AutoencoderKL) -> None:
    from diffusers import PNDMScheduler

    from container.diffusers_engine.bundled import tokenizers

    unet.save_config(folder / "unet")
    vae.save_config(folder / "vae")
    TEXT.save_pretrained(folder / "text_encoder")
    tokenizers(["<|endoftext|>"])[0].save_pretrained(folder / "tokenizer")
    PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True).save_config(folder / "scheduler")
    parts = {
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        **{name: [None, None] for name in ("feature_extractor", "image_encoder", "safety_checker")},
    }
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **parts}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
