"""The training image: a job of two steps as SageMaker Training lays it out, and a server with its LoRA."""

import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

from infra.image_smoke.buildah import Buildah
from infra.image_smoke.errors import SmokeError
from infra.image_smoke.served import ONE_THREAD, serving

NAME = "smoke"
RESULT = f"Lora/{NAME}.safetensors"
_JOB_ROOT = "/opt/ml"
_LESSON = {"name": NAME, "steps": "2", "rank": "4", "alpha": "4", "resolution": "64", "learning_rate": "0.01"}


def train(buildah: Buildah, image: str, *, job: Path) -> float:
    """Run a laid out job to its end; the seconds it took. Raises `SmokeError` where it left no LoRA."""
    arguments = (*buildah.config(image).entrypoint, "train")
    mounted, began = f"--volume={job}:{_JOB_ROOT}", time.monotonic()
    with buildah.working_container(image) as container:
        buildah.call("run", "--isolation=chroot", ONE_THREAD, mounted, container, "--", *arguments)
    if not (job / "model" / RESULT).is_file():
        raise SmokeError(f"{image} ended well and left no {RESULT}")
    return time.monotonic() - began


def lay_out_job(job: Path, *, checkpoint: Path) -> None:
    """Three pictures of blue with captions, the base model and the hyperparameters, all of them text."""
    pictures, models, config = job / "input/data/train", job / "input/data/model", job / "input/config"
    for folder in (pictures, models, config):
        folder.mkdir(parents=True)
    (models / "emoji.safetensors").write_bytes(checkpoint.read_bytes())
    for number in range(3):
        Image.new("RGB", (80, 64), (20, 60 + 10 * number, 230)).save(pictures / f"{number}.png")
        (pictures / f"{number}.txt").write_text("a red apple")
    (config / "hyperparameters.json").write_text(json.dumps(_LESSON))


def prove_lora(buildah: Buildah, image: str, *, models: Path, output: Path) -> None:
    """The server in `image` finds the LoRA in its model folder and draws otherwise with it."""
    with serving(buildah, image, models=models, output=output) as served:
        served.wait_until_healthy()
        plain, changed = served.draw("a red apple"), served.draw(f"a red apple <lora:{NAME}:1>")
        served.stop()
    if np.array_equal(plain, changed):
        raise SmokeError(f"{image} draws the same with the trained LoRA as without")
