"""Measures the embedded model on fresh seeds: `python -m tests.benchmarks.quality [--sheet FILE]`.

Prints how often the named thing is what was drawn (nearest of all thumbnails, 200 names, 20 steps), how much
four seeds of one prompt differ, and the seconds one picture takes.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from container.embedded.engine import EmbeddedEngine
from container.serving.engine import DrawRequest
from tests.benchmarks.figures import row, single
from tests.container.embedded.nearest_thing import NearestThing

STEPS = 20
NAMES = 200

# Written down before the first picture was drawn; none was left out for how it came out.
CONTACT_PROMPTS = (
    "a red apple",
    "a green apple",
    "a blue apple",
    "a banana",
    "two strawberries",
    "a slice of pizza",
    "a hamburger",
    "a cup of coffee",
    "a birthday cake",
    "a cat",
    "a purple cat",
    "a dog",
    "a penguin",
    "an octopus",
    "a ladybug",
    "a unicorn",
    "a t-rex",
    "three snails",
    "a cat and a dog",
    "a whale on a white background",
    "a rose",
    "a sunflower",
    "a cactus",
    "a palm tree",
    "a red heart",
    "a green heart",
    "a broken heart",
    "a rocket",
    "a rocket on a black background",
    "a yellow car",
    "a bicycle",
    "a sailboat",
    "a castle",
    "a house with garden",
    "a guitar",
    "a crown",
    "an umbrella",
    "a 3d robot",
    "a ghost",
    "a snowman",
)


def main(words: Sequence[str] = ()) -> None:
    arguments = _arguments(words)
    engine = EmbeddedEngine(folder=arguments.model, threads=arguments.threads)
    engine.setup()
    nearest = NearestThing(arguments.model) if arguments.model else NearestThing()
    if arguments.sheet:
        contact_sheet(engine, seed=arguments.seed).save(arguments.sheet, optimize=True)
    report_top1(engine, nearest, seed=arguments.seed)
    differences = seed_differences(engine, nearest.names, seed=arguments.seed)
    single("difference between four seeds (RMS)", float(np.mean(differences)), unit="/255", goal=">= 12")
    row(
        f"one 512x512 picture, {STEPS} steps", seconds(engine, seed=arguments.seed), unit="s", goal="p50 <= 2"
    )


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, help="also write the contact sheet of 40 prompts here")
    parser.add_argument("--model", type=Path, help="folder of another model to measure")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="first seed; fresh by default")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(words)


def draw(engine: EmbeddedEngine, prompt: str, *, seed: int, side: int = 256) -> NDArray[np.uint8]:
    request = DrawRequest(prompt=prompt, width=side, height=side, steps=STEPS, seed=seed % 2**32)
    return engine.generate(request, on_step=lambda _done, _all: None).images[0]


def report_top1(engine: EmbeddedEngine, nearest: NearestThing, *, seed: int) -> None:
    """Print how often the drawn thing is the named one, and which were taken for another."""
    chosen = np.random.default_rng(seed).permutation(len(nearest.names))[:NAMES]
    missed = []
    for offset, index in enumerate(chosen):
        name = nearest.names[index]
        seen = nearest.of(draw(engine, f"a {name}", seed=seed + offset))
        if seen != name:
            missed.append(f"{name} -> {seen}")
    score = 100 * (1 - len(missed) / len(chosen))
    single(f"named thing recognised, of {len(chosen)} names", score, unit="%", goal=">= 80")
    print(f"missed: {'; '.join(missed)}")


def seed_differences(engine: EmbeddedEngine, names: tuple[str, ...], *, seed: int) -> list[float]:
    """Root-mean-square differences, of 255, between the pictures of four seeds, for each of 12 prompts."""
    differences = []
    for name in np.random.default_rng(seed + 1).permutation(names)[:12]:
        pictures = [draw(engine, f"a {name}", seed=seed + k, side=128).astype(float) for k in range(4)]
        pairs = itertools.combinations(pictures, 2)
        differences += [float(np.sqrt(np.square(a - b).mean())) for a, b in pairs]
    return differences


def seconds(engine: EmbeddedEngine, *, seed: int) -> list[float]:
    """Seconds for each of five pictures with guidance."""
    spent = []
    for offset in range(5):
        began = time.perf_counter()
        draw(engine, "a red apple", seed=seed + offset, side=512)
        spent.append(time.perf_counter() - began)
    return spent


def contact_sheet(engine: EmbeddedEngine, *, seed: int, columns: int = 8, side: int = 150) -> Image.Image:
    """One picture for each of the 40 prompts, in order, with the prompt below."""
    rows = -(-len(CONTACT_PROMPTS) // columns)
    sheet = Image.new("RGB", (columns * (side + 10) + 10, rows * (side + 30) + 10), "white")
    pen = ImageDraw.Draw(sheet)
    for index, prompt in enumerate(CONTACT_PROMPTS):
        left, top = 10 + index % columns * (side + 10), 10 + index // columns * (side + 30)
        sheet.paste(Image.fromarray(draw(engine, prompt, seed=seed + index, side=side)), (left, top))
        pen.text((left, top + side + 4), prompt, fill="black")
    return sheet


if __name__ == "__main__":
    main(sys.argv[1:])
