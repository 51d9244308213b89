"""The diffusers engine on the embedded checkpoint: requests joined, and the engine beside diffusers itself.

python -m tests.benchmarks diffusers

On a CPU it draws with one thread and counts the process's own time, which other processes do not lengthen:
with several threads the small networks measure how these wait for each other. On a GPU it is the wall's time.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

from container.diffusers_engine.checkpoint import open_checkpoint
from container.diffusers_engine.engine import DiffusersEngine
from container.diffusers_engine.loaded_model import LoadedModel
from container.diffusers_engine.models import default_dtype
from container.serving.engine import DrawRequest, Model
from container.serving.model_folder import ModelFile
from tests.benchmarks.figures import row, single
from tests.container.diffusers.given_models import GivenModels, engine_of

CHECKPOINT = Path(__file__).parents[2] / "container" / "embedded" / "model.safetensors"
STEPS = 20
TOGETHER = 8
ROUNDS = 5
_WAYS = ("engine", "diffusers")


def main() -> None:
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {_device()}, {torch.get_num_threads()} thread, 64x64 pixels")
    model = _opened()
    engine = engine_of(GivenModels(model=model))
    report_joined(engine)
    report_beside(engine, model)
    for way in _WAYS:
        single(f"peak memory of a process with {way}", _peak_mib(way), unit="MiB")


def report_joined(engine: DiffusersEngine) -> None:
    """Eight requests that may be drawn together, one by one and at once, in turn."""
    requests = [
        DrawRequest(prompt=f"a cat number {seed}", width=64, height=64, steps=STEPS, seed=seed)
        for seed in range(TOGETHER)
    ]

    def one_by_one() -> None:
        for request in requests:
            engine.generate(request, on_step=_ignore)

    def at_once() -> None:
        engine.generate_together(requests, on_step=_ignore)

    alone, together = _in_turn(one_by_one, at_once)
    row(f"{TOGETHER} requests one by one", [each * 1000 for each in alone])
    row(f"{TOGETHER} requests at once", [each * 1000 for each in together])
    ratios = [slow / fast for slow, fast in zip(alone, together, strict=True)]
    row("throughput joined over single", ratios, unit="x", goal=">= 3")


def report_beside(engine: DiffusersEngine, model: LoadedModel) -> None:
    """Steps a second of one picture: the engine and diffusers' own pipeline on the same networks, in turn."""
    pipeline = _pipeline(model)
    request = DrawRequest(prompt="a cat", width=64, height=64, steps=STEPS, seed=1)
    ours, theirs = _in_turn(lambda: engine.generate(request, on_step=_ignore), lambda: _draw_with(pipeline))
    row("engine", [STEPS / each for each in ours], unit="steps/s")
    row("diffusers' own pipeline", [STEPS / each for each in theirs], unit="steps/s")


def _in_turn(*ways: Callable[[], object]) -> list[list[float]]:
    """Seconds of each, interleaved, after one round that is not counted."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    spent: list[list[float]] = [[] for _ in ways]
    for turn in range(ROUNDS + 1):
        for way, times in zip(ways, spent, strict=True):
            began = clock()
            way()
            if turn:
                times.append(clock() - began)
    return spent


def _opened() -> LoadedModel:
    """On the GPU where there is one, in the precision the server takes there."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    file = ModelFile(path=CHECKPOINT, model=Model(name=CHECKPOINT.name))
    return open_checkpoint(file, allow_pickle=False, device=device, dtype=default_dtype(device)).model


def _pipeline(model: LoadedModel) -> StableDiffusionPipeline:
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    pipeline = StableDiffusionPipeline(
        vae=model.vae,
        text_encoder=model.text_encoders[0],
        tokenizer=model.tokenizers[0],
        unet=model.unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _draw_with(pipeline: StableDiffusionPipeline) -> None:
    generator = torch.Generator().manual_seed(1)
    pipeline("a cat", height=64, width=64, num_inference_steps=STEPS, guidance_scale=7.0, generator=generator)


def _peak_mib(way: str) -> float:
    """Of a fresh process that loads the checkpoint and draws once."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.diffusers", way]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _draw_once(way: str) -> None:
    torch.set_num_threads(1)
    model = _opened()
    if way == "engine":
        request = DrawRequest(prompt="a cat", width=64, height=64, steps=STEPS, seed=1)
        engine_of(GivenModels(model=model)).generate(request, on_step=_ignore)
    else:
        _draw_with(_pipeline(model))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _ignore(_done: int, _steps: int) -> None:
    """Nobody watches the steps."""


if __name__ == "__main__":
    _draw_once(sys.argv[1])
