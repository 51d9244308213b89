"""Rebuilds the embedded model: `python -m container.embedded.train --art ART --work WORK STAGE`.

Stages: vae, detail, latents, text, unet, export; detail may come at any time after vae, and upscaler, which
writes its own files, after detail. Each resumes from its last checkpoint in WORK. `start` fills an empty WORK
from exported weights instead.
docs/embedded-model.md says where the art comes from and what each stage costs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from container.embedded.training.art import load_things
from container.embedded.training.checkpoint import Run
from container.embedded.training.detail import DETAIL_STEPS, train_detail
from container.embedded.training.export import Trained, export_model, export_upscaler
from container.embedded.training.latents import encode_scenes
from container.embedded.training.start import start_from
from container.embedded.training.text import train_text
from container.embedded.training.unet import PEAK_RATE, UNET_STEPS, train_unet
from container.embedded.training.upscaler import ART_SIDE, UPSCALER_STEPS, train_upscaler
from container.embedded.training.vae import train_vae

VAE_STEPS = 2_700
TEXT_STEPS = 2_400
_CONTAINER = Path(__file__).parents[1]


def main() -> None:
    """Run the stage named on the command line."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    folder: Path = arguments.work
    folder.mkdir(parents=True, exist_ok=True)
    things = load_things(arguments.art)
    print(f"{len(things)} named things", flush=True)
    if arguments.stage == "start":
        start_from(arguments.start, things, folder=folder, vae_steps=VAE_STEPS)
        return
    run = Run(folder=folder, seed=arguments.seed, threads=arguments.threads)
    vae = train_vae(things, run, steps=VAE_STEPS)
    if arguments.stage == "detail":
        train_detail(things, vae, run, steps=arguments.detail_steps, minutes=arguments.minutes)
    if arguments.stage == "upscaler":
        detail = train_detail(things, vae, run, steps=0)
        network = train_upscaler(
            load_things(arguments.art, pixels=ART_SIDE),
            vae,
            detail,
            run,
            steps=arguments.upscaler_steps,
            minutes=arguments.minutes,
        )
        export_upscaler(network, out=arguments.out or _CONTAINER / "upscaling")
    if arguments.stage in ("latents", "text", "unet"):
        buckets = encode_scenes(things, vae, run)
    if arguments.stage == "text":
        train_text(things, buckets, run, steps=arguments.text_steps)
    if arguments.stage == "unet":
        train_unet(
            things,
            buckets,
            run,
            steps=arguments.unet_steps,
            minutes=arguments.minutes,
            peak_rate=arguments.peak_rate,
        )
    if arguments.stage == "export":
        model, vocabulary = train_unet(things, (), run, steps=0)
        detail = train_detail(things, vae, run, steps=0)
        trained = Trained(vae=vae, detail=detail, model=model, vocabulary=vocabulary)
        export_model(things, trained, out=arguments.out or _CONTAINER / "embedded")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    stages = ["vae", "detail", "upscaler", "latents", "text", "unet", "export", "start"]
    parser.add_argument("stage", choices=stages)
    parser.add_argument("--art", type=Path, required=True, help="folder of the unpacked npm packages")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, help="folder for the exported files, else where they are used")
    parser.add_argument("--from", dest="start", type=Path, help="an exported model.safetensors to go on from")
    parser.add_argument("--detail-steps", type=int, default=DETAIL_STEPS)
    parser.add_argument("--upscaler-steps", type=int, default=UPSCALER_STEPS)
    parser.add_argument("--text-steps", type=int, default=TEXT_STEPS)
    parser.add_argument("--unet-steps", type=int, default=UNET_STEPS)
    parser.add_argument(
        "--minutes",
        type=float,
        help="train unet, detail or upscaler for so long from now, instead of for some steps",
    )
    parser.add_argument(
        "--peak-rate", type=float, default=PEAK_RATE, help="highest learning rate of the unet"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if (arguments.stage == "start") != (arguments.start is not None):
        parser.error("the start stage, and only it, needs --from")
    return arguments


if __name__ == "__main__":
    main()
