"""What the diffusers engine draws with the embedded engine's trained checkpoint, an ordinary SD 1.x file."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from container.diffusers_engine.engine import DiffusersEngine
from container.serving.engine import Drawing, DrawRequest, Fill, Hires, Mask, Picture
from tests.container.diffusers.given_models import GivenModels, engine_of, opened
from tests.container.embedded.nearest_thing import NearestThing

CHECKPOINT = Path(__file__).parents[3] / "container" / "embedded" / "model.safetensors"
APPLE = DrawRequest(prompt="a red apple", width=128, height=128, steps=12, seed=100, sampler_name="DPM++ 2M")
CAT = replace(APPLE, prompt="a cat", width=64, height=64, steps=20)
GREEN, RED = (120, 190, 40), (220, 40, 80)


@pytest.fixture(scope="module")
def engine() -> DiffusersEngine:
    return engine_of(GivenModels(model=opened(CHECKPOINT)))


@pytest.fixture(scope="module")
def apple(engine: DiffusersEngine) -> Picture:
    return draw(engine, APPLE).images[0]


@pytest.fixture(scope="module")
def things() -> NearestThing:
    return NearestThing()


def draw(engine: DiffusersEngine, request: DrawRequest) -> Drawing:
    return engine.generate(request, on_step=lambda _done, _all: None)


def png(picture) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, "PNG")
    return file.getvalue()


def middle(picture):
    height, width = picture.shape[:2]
    return picture[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8].mean(axis=(0, 1))


def looks(picture, colour, other) -> bool:
    """Whether its middle is nearer to one colour than to another."""
    return bool(np.square(middle(picture) - colour).sum() < np.square(middle(picture) - other).sum())


def right_half(size=(128, 128)) -> bytes:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((size[0] // 2, 0, size[0], size[1]), fill=255)
    return png(mask)


@pytest.mark.parametrize("name", ["cat", "castle", "green apple"])
def test_the_named_thing_is_drawn(engine, things, name):
    """In most of four pictures the thing is the first of all 637 by likeness."""
    request = DrawRequest(prompt=f"a {name}", width=64, height=64, steps=12, seed=100, batch_size=4)
    assert sum(things.of(picture) == name for picture in draw(engine, request).images) >= 3


def test_a_red_apple_is_among_the_first_of_all_things(engine, things):
    """The checkpoint's own decoder, which only this engine uses, blurs the leaf; a red purse lies near."""
    picture = draw(engine, replace(APPLE, width=256, height=256, steps=20)).images[0]
    assert "red apple" in things.ranking(picture)[:3]
    assert looks(picture, RED, GREEN)


def test_image_to_image_turns_the_apple_green(engine, apple):
    request = replace(
        APPLE, prompt="a green apple", init_images=(png(apple),), denoising_strength=0.8, steps=20
    )
    assert looks(apple, RED, GREEN)
    assert looks(draw(engine, request).images[0], GREEN, RED)


def test_strength_says_how_far_a_given_picture_is_left(engine, apple):
    request = replace(APPLE, prompt="a cat", init_images=(png(apple),))
    left = [
        np.abs(
            draw(engine, replace(request, denoising_strength=strength)).images[0].astype(int) - apple
        ).mean()
        for strength in (0.0, 0.3, 0.7)
    ]
    assert left == sorted(left)
    assert left[0] < 12 < left[2]


@pytest.mark.parametrize(("fill", "only_masked"), [*((fill, False) for fill in Fill), (Fill.ORIGINAL, True)])
def test_inpainting_changes_only_the_masked_half(engine, apple, fill, only_masked):
    mask = Mask(file=right_half(), blur_x=0, blur_y=0, fill=fill, only_masked=only_masked)
    request = replace(APPLE, prompt="a green apple", init_images=(png(apple),), mask=mask)
    drawn = draw(engine, replace(request, denoising_strength=0.9)).images[0]
    assert (drawn[:, :63] == apple[:, :63]).all()
    assert np.abs(drawn[:, 65:].astype(int) - apple[:, 65:]).mean() > 8


def test_an_inverted_mask_keeps_what_the_mask_shows(engine, apple):
    mask = Mask(file=right_half(), inverted=True, blur_x=0, blur_y=0, only_masked=False)
    request = replace(APPLE, prompt="a green apple", init_images=(png(apple),), mask=mask)
    drawn = draw(engine, replace(request, denoising_strength=0.9)).images[0]
    assert (drawn[:, 65:] == apple[:, 65:]).all()
    assert not (drawn[:, :63] == apple[:, :63]).all()


@pytest.fixture(scope="module")
def cat(engine: DiffusersEngine) -> Picture:
    return draw(engine, CAT).images[0]


@pytest.mark.parametrize("upscaler", ["Lanczos", "Latent (bicubic antialiased)"])
def test_hires_fix_draws_the_same_thing_larger(engine, things, cat, upscaler):
    hires = Hires(width=128, height=128, upscaler_name=upscaler, denoising_strength=0.15, steps=4)
    picture = draw(engine, replace(CAT, hires=hires)).images[0]
    assert picture.shape == (128, 128, 3)
    smaller = np.asarray(Image.fromarray(picture).resize((64, 64)))
    assert 2 < np.abs(smaller.astype(int) - cat).mean() < 40
    assert upscaler != "Lanczos" or things.of(picture) == "cat"


@pytest.mark.parametrize(("width", "height"), [(64, 64), (512, 288), (104, 1024)])
def test_pictures_have_exactly_the_size_asked_for(engine, width, height):
    picture = draw(engine, replace(APPLE, width=width, height=height, steps=1)).images[0]
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("prompts", [("a cat", "a red apple", "a castle"), ("a cat", "a dog " * 90)])
def test_requests_drawn_together_equal_single_ones(engine, prompts):
    requests = [
        replace(
            APPLE, prompt=prompt, seed=place * 7, batch_size=1 + place % 2, sampler_name="Euler a", steps=5
        )
        for place, prompt in enumerate(prompts)
    ]
    assert len({engine.joins(request) for request in requests}) == 1
    together = engine.generate_together(requests, on_step=lambda _done, _all: None)
    for request, drawing in zip(requests, together, strict=True):
        alone = draw(engine, request)
        assert (drawing.seeds, drawing.subseeds) == (alone.seeds, alone.subseeds)
        for picture, single in zip(drawing.images, alone.images, strict=True):
            assert np.abs(picture.astype(int) - single.astype(int)).max() <= 1
