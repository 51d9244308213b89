"""A real server process around an engine that takes a known time: `python -m tests.benchmarks.stub_server`.

It prints its address and serves until it is ended.
"""

import sys
import time

import numpy as np

from container.serving.engine import Catalogue, Drawing, DrawRequest, EngineInfo, Model, OnStep, Picture
from container.serving.pattern_engine import PatternEngine
from container.serving.process import bind, serve
from container.serving.settings import Settings

DRAWING_S = 2.0
AT_ONCE = "at-once"
"""The argument with which the picture is there already."""


class Sleeping(PatternEngine):
    """Draws the same noisy picture whatever is asked for, and takes exactly `seconds` for it."""

    def __init__(self, *, seconds: float = DRAWING_S) -> None:
        super().__init__()
        self._seconds = seconds
        self._picture = noisy_picture(1024, 1024)

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        picture = self._picture[: request.height, : request.width]
        if request.prompt:
            until = time.perf_counter() + self._seconds
            on_step(request.steps, request.steps)
            time.sleep(max(0.0, until - time.perf_counter()))
        return Drawing(
            images=(picture,) * request.batch_size,
            seeds=(request.seed,) * request.batch_size,
            subseeds=(request.subseed,) * request.batch_size,
        )

    def info(self) -> EngineInfo:
        return EngineInfo(name="sleeping", model="none", model_hash="")

    def catalogue(self) -> Catalogue:
        return Catalogue(models=(Model(name="none"),), samplers=("Euler",))


def noisy_picture(width: int, height: int, *, seed: int = 7) -> Picture:
    """Soft shapes under a grain as strong as a photo's: it packs to 2 of 3 MB."""
    grain = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    rows, columns = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(rows / 90 + k) + np.cos(columns / 70 - k) for k in range(3)], axis=-1)
    return (128 + 50 * waves + grain).clip(0, 255).astype(np.uint8)


def main(arguments: list[str]) -> None:
    settings = Settings(image_check="check" in arguments)
    engine = Sleeping(seconds=0.0 if AT_ONCE in arguments else DRAWING_S)
    with bind("127.0.0.1", 0) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        serve(engine, listening=listening, settings=settings)


if __name__ == "__main__":
    main(sys.argv[1:])
