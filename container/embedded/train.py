"""Rebuilds the embedded model: `python -m container.embedded.train --art ART --work WORK STAGE`.

Stages: vae, then detail and unet (both need only the vae), then export. Each resumes from its last checkpoint
in WORK. docs/embedded-model.md says where the art comes from and what each stage costs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from container.embedded.training.art import load_things
from container.embedded.training.detail import train_detail
from container.embedded.training.export import Trained, export_model
from container.embedded.training.latents import encode_scenes
from container.embedded.training.unet import train_unet
from container.embedded.training.vae import train_vae

VAE_STEPS = 2_700
DETAIL_STEPS = 1_500
UNET_STEPS = 4_200


def main() -> None:
    """Run the stage named on the command line, reading back the ones it needs."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    folder: Path = arguments.work
    folder.mkdir(parents=True, exist_ok=True)
    common = {"folder": folder, "seed": arguments.seed, "threads": arguments.threads}
    things = load_things(arguments.art)
    print(f"{len(things)} named things", flush=True)
    vae = train_vae(things, steps=VAE_STEPS, **common)
    if arguments.stage == "vae":
        return
    if arguments.stage in ("detail", "export"):
        detail = train_detail(things, vae, steps=arguments.detail_steps, **common)
    if arguments.stage in ("unet", "export"):
        buckets = encode_scenes(things, vae, folder=folder, seed=arguments.seed)
        model, vocabulary = train_unet(things, buckets, steps=arguments.unet_steps, **common)
    if arguments.stage == "export":
        trained = Trained(vae=vae, detail=detail, model=model, vocabulary=vocabulary)
        export_model(things, trained, out=arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["vae", "detail", "unet", "export"])
    parser.add_argument("--art", type=Path, required=True, help="folder of the unpacked npm packages")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder for the exported files"
    )
    parser.add_argument("--detail-steps", type=int, default=DETAIL_STEPS)
    parser.add_argument("--unet-steps", type=int, default=UNET_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
