"""The embedded engine with its real model: what is drawn, what repeats, what is refused."""

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from container.embedded.engine import EmbeddedEngine
from container.serving.engine import Drawing, DrawRequest
from container.serving.errors import BadRequest, Cancelled, NotReady, UnknownName
from tests.container.embedded.nearest_thing import NearestThing

APPLE = DrawRequest(prompt="a red apple", width=128, height=128, steps=8, seed=11)


def ignore(_done: int, _all: int) -> None:
    """Nobody watches the steps."""


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    engine = EmbeddedEngine()
    engine.setup()
    return engine


def draw(engine: EmbeddedEngine, request: DrawRequest) -> Drawing:
    return engine.generate(request, on_step=ignore)


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Root mean square, of 255."""
    return float(np.sqrt(np.square(a.astype(float) - b.astype(float)).mean()))


def png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("name", ["cat", "dog", "rocket", "castle", "octopus", "guitar", "blue heart"])
def test_the_named_thing_is_drawn(engine: EmbeddedEngine, name: str) -> None:
    """In most of four pictures the thing is the first of all 637 by likeness."""
    drawing = draw(
        engine, DrawRequest(prompt=f"a {name}", width=256, height=256, steps=20, seed=100, batch_size=4)
    )
    nearest = NearestThing()
    assert sum(nearest.of(picture) == name for picture in drawing.images) >= 3


@pytest.mark.parametrize(
    ("colour", "rgb"), [("red", (220, 30, 30)), ("green", (170, 210, 70)), ("blue", (40, 90, 220))]
)
def test_a_colour_word_colours_the_thing(
    engine: EmbeddedEngine, colour: str, rgb: tuple[int, int, int]
) -> None:
    request = DrawRequest(prompt=f"a {colour} apple", width=64, height=64, steps=20, seed=200, batch_size=4)
    middles = [picture[24:40, 24:40].mean(axis=(0, 1)) for picture in draw(engine, request).images]
    others = np.array([(220, 30, 30), (170, 210, 70), (40, 90, 220), (240, 200, 40), (255, 255, 255)])
    nearest = [tuple(others[np.square(others - middle).sum(axis=1).argmin()]) for middle in middles]
    assert nearest.count(rgb) >= 3


def test_the_same_seed_draws_the_same_pixels(engine: EmbeddedEngine) -> None:
    assert (draw(engine, APPLE).images[0] == draw(engine, APPLE).images[0]).all()


def test_another_seed_draws_another_picture(engine: EmbeddedEngine) -> None:
    other = draw(engine, replace(APPLE, seed=12)).images[0]
    assert difference(draw(engine, APPLE).images[0], other) > 5


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M Karras", "DPM++ 2S a", "DDIM"])
def test_a_batch_draws_what_single_calls_draw(engine: EmbeddedEngine, sampler: str) -> None:
    """Picture k has seed + k; sums taken in another order may round one step of 255 apart."""
    request = replace(APPLE, sampler_name=sampler)
    batch = draw(engine, replace(request, batch_size=3))
    assert batch.seeds == (11, 12, 13)
    for seed, picture in zip(batch.seeds, batch.images, strict=True):
        alone = draw(engine, replace(request, seed=seed)).images[0]
        assert np.abs(picture.astype(int) - alone.astype(int)).max() <= 1


def test_a_weak_variation_differs_less_than_a_strong_one(engine: EmbeddedEngine) -> None:
    base = draw(engine, APPLE).images[0]
    weak = draw(engine, replace(APPLE, subseed=9, subseed_strength=0.1)).images[0]
    strong = draw(engine, replace(APPLE, subseed=9, subseed_strength=0.9)).images[0]
    assert 0 < difference(base, weak) < difference(base, strong)


def test_strength_says_how_far_a_given_picture_is_left(engine: EmbeddedEngine) -> None:
    start = draw(engine, replace(APPLE, prompt="a cat", steps=20)).images[0]
    wanted = replace(APPLE, prompt="a purple cat", steps=20, init_images=(png(start),))
    drawn = {
        strength: draw(engine, replace(wanted, denoising_strength=strength)).images[0]
        for strength in (0.0, 0.1, 1.0)
    }
    left = [difference(start, drawn[strength]) for strength in (0.0, 0.1, 1.0)]
    assert left == sorted(left)
    assert left[0] < 20


def test_the_negative_prompt_and_the_scale_change_the_picture(engine: EmbeddedEngine) -> None:
    base = draw(engine, APPLE).images[0]
    assert difference(base, draw(engine, replace(APPLE, negative_prompt="red")).images[0]) > 1
    assert difference(base, draw(engine, replace(APPLE, cfg_scale=1.0)).images[0]) > 1


def test_weights_change_the_picture_and_a_weight_of_one_does_not(engine: EmbeddedEngine) -> None:
    base = draw(engine, APPLE).images[0]
    assert (draw(engine, replace(APPLE, prompt="a (red:1.0) apple")).images[0] == base).all()
    assert difference(base, draw(engine, replace(APPLE, prompt="a (red:1.6) apple")).images[0]) > 0.5


def test_long_prompts_of_unequal_length_are_drawn(engine: EmbeddedEngine) -> None:
    long = "a red apple " * 40
    assert draw(engine, replace(APPLE, prompt=long, negative_prompt="blue", steps=2)).images[0].shape == (
        128,
        128,
        3,
    )


@pytest.mark.parametrize(("width", "height"), [(64, 64), (512, 288), (288, 512), (1024, 128), (2048, 2048)])
def test_pictures_have_exactly_the_size_asked_for(engine: EmbeddedEngine, width: int, height: int) -> None:
    drawing = draw(engine, replace(APPLE, width=width, height=height, steps=1))
    assert drawing.images[0].shape == (height, width, 3)
    assert drawing.images[0].dtype == np.uint8


def test_each_step_is_told_and_raising_there_stops_the_drawing(engine: EmbeddedEngine) -> None:
    told: list[tuple[int, int]] = []

    def stop_at_third(done: int, steps: int) -> None:
        told.append((done, steps))
        if done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        engine.generate(APPLE, on_step=stop_at_third)
    assert told == [(1, 8), (2, 8), (3, 8)]


def test_words_the_model_never_met_are_named_once(engine: EmbeddedEngine) -> None:
    drawing = draw(
        engine, replace(APPLE, prompt="a (red:1.2) apple for Zaphod, zaphod's <lora:x:1> friend", steps=1)
    )
    assert drawing.unknown_words == ("zaphod", "friend")
    assert drawing.notes == ("the demo model takes no extra networks; ignored x",)


def test_a_prompt_longer_than_clip_reads_at_once_is_told_its_length(engine: EmbeddedEngine) -> None:
    drawing = draw(engine, replace(APPLE, prompt="red apple " * 38, negative_prompt="red " * 601, steps=1))

    assert drawing.notes == (
        "the prompt has 76 tokens (words and parts of words): it was read in 2 parts of up to 75",
        "only the first 600 tokens of the negative prompt had an effect",
    )


def test_known_words_are_not_reported(engine: EmbeddedEngine) -> None:
    assert engine.unknown_words("Two blue apples on a white background, 3d style") == ()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"width": 32}, BadRequest),
        ({"height": 4096}, BadRequest),
        ({"sampler_name": "PLMS"}, UnknownName),
        ({"model": "sdxl"}, UnknownName),
        ({"init_images": (b"no picture",)}, BadRequest),
        ({"init_images": (b"a", b"b", b"c"), "batch_size": 2}, BadRequest),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_reason(
    engine: EmbeddedEngine, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        draw(engine, replace(APPLE, **changes))  # type: ignore[arg-type]  # of several types


def test_nothing_is_drawn_before_set_up() -> None:
    with pytest.raises(NotReady):
        EmbeddedEngine().generate(APPLE, on_step=ignore)


def test_the_catalogue_offers_the_loaded_model(engine: EmbeddedEngine) -> None:
    catalogue = engine.catalogue()
    assert [model.name for model in catalogue.models] == [engine.info().model]
    assert {"Euler", "Euler a", "DDIM", "DPM++ 2M", "DPM++ 2M Karras"} <= set(catalogue.samplers)
    assert draw(
        engine, replace(APPLE, steps=1, model=f"{catalogue.models[0].name} [{catalogue.models[0].hash}]")
    ).images
