"""Pictures brought to size, masks, edges, and the sizes a model draws at."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from container.diffusers_engine.edges import edge_map
from container.diffusers_engine.inpainting import part_around, read_inpainting, surroundings_spread
from container.diffusers_engine.pictures import (
    CROP,
    FILL,
    STRETCH,
    fitted,
    read_picture,
    to_pictures,
    to_tensor,
)
from container.diffusers_engine.sizes import drawn_size, second_size
from container.diffusers_engine.studio import last_levels
from container.serving.engine import Fill, Mask
from container.serving.errors import BadRequest

HALVES = Image.new("RGB", (40, 20), (255, 0, 0))
HALVES.paste((0, 0, 255), (20, 0, 40, 20))


def file_of(image: Image.Image, format_: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def disc(size=(64, 64), box=(16, 16, 48, 48)) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


def test_stretching_keeps_both_sides_of_the_picture():
    pixels = np.asarray(fitted(HALVES, (20, 20), STRETCH))
    assert pixels.shape == (20, 20, 3)
    assert pixels[10, 2, 0] > 250
    assert pixels[10, -3, 2] > 250


def test_cropping_keeps_proportions_and_loses_the_ends():
    wide = HALVES.resize((80, 20))
    pixels = np.asarray(fitted(wide, (20, 20), CROP)).astype(int)
    assert abs(int(np.argmax(pixels[10, :, 2] > 127)) - 10) <= 1


def test_filling_draws_the_edges_out():
    pixels = np.asarray(fitted(HALVES, (40, 60), FILL)).astype(int)
    assert pixels.shape == (60, 40, 3)
    assert (pixels[0] == pixels[20]).all()
    assert (pixels[59] == pixels[39]).all()


def test_transparent_pictures_lie_on_white_and_turned_ones_are_turned_up():
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert read_picture(file_of(clear), field="x").getpixel((0, 0)) == (255, 255, 255)
    turned = Image.new("RGB", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    assert read_picture(file_of(turned, "JPEG", exif=exif), field="x").size == (20, 40)


def test_what_does_not_decode_is_refused_by_field():
    with pytest.raises(BadRequest) as caught:
        read_picture(b"\x89PNG nothing", field="init_images")
    assert caught.value.field == "init_images"


def test_pictures_survive_the_way_to_tensors_and_back():
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    assert (to_pictures(to_tensor(Image.fromarray(noise)))[0] == noise).all()


@pytest.mark.parametrize(
    ("native_side", "wanted", "drawn"),
    [
        (512, (1024, 520), (1024, 520)),
        (64, (512, 512), (64, 64)),
        (64, (1024, 576), (88, 48)),
        (64, (512, 2048), (48, 88)),
    ],
)
def test_a_tiny_model_draws_near_its_own_size_others_as_asked(native_side, wanted, drawn):
    assert drawn_size(wanted, native_side=native_side) == drawn


def test_a_second_pass_grows_as_much_as_the_picture():
    assert second_size((512, 768), (512, 768), (1024, 1536)) == (1024, 1536)
    assert second_size((64, 64), (512, 512), (1024, 1024)) == (128, 128)


@pytest.mark.parametrize(
    ("steps", "strength", "walked"), [(20, 0.75, 16), (20, 1, 20), (20, 0, 1), (1, 0.5, 1), (30, 0.5, 16)]
)
def test_strength_leaves_as_many_steps_as_in_webui(steps, strength, walked):
    levels = [float(steps - place) for place in range(steps + 1)]
    kept = last_levels(levels, strength)
    assert len(kept) - 1 == walked
    assert kept == levels[-walked - 1 :]


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda s: (s[0] * 8, s[1] * 8)),
    corners=st.tuples(*[st.integers(0, 319)] * 4),
    padding=st.integers(0, 100),
)
def test_the_part_around_a_mask_holds_it_and_stays_inside(size, corners, padding):
    width, height = size
    left, right = sorted((corners[0] % width, corners[1] % width))
    top, bottom = sorted((corners[2] % height, corners[3] % height))
    mask = Image.new("L", size)
    mask.paste(255, (left, top, right + 1, bottom + 1))
    box = part_around(mask, padding=padding)
    assert 0 <= box[0] <= left
    assert right < box[2] <= width
    assert 0 <= box[1] <= top
    assert bottom < box[3] <= height


def test_the_part_has_the_picture_s_proportions():
    mask = Image.new("L", (200, 100))
    mask.paste(255, (90, 40, 110, 44))
    left, top, right, bottom = part_around(mask, padding=5)
    assert right - left == pytest.approx(2 * (bottom - top), abs=2)
    assert right - left == 30


def inpainting(**changes):
    mask = Mask(file=file_of(disc()), blur_x=0, blur_y=0, fill=Fill.ORIGINAL)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return picture, read_inpainting(picture, replace(mask, **changes), resize_mode=STRETCH)


@pytest.mark.parametrize("only_masked", [False, True])
def test_what_lies_outside_the_mask_comes_back_to_the_pixel(only_masked):
    picture, masked = inpainting(only_masked=only_masked)
    put_back = masked.put_back(np.zeros((64, 64, 3), np.uint8))
    inside = np.asarray(disc()) > 0
    assert (put_back[~inside] == np.asarray(picture)[~inside]).all()
    assert (put_back[inside] == 0).all()


def test_a_blurred_mask_fades():
    _, masked = inpainting(blur_x=6, blur_y=2, only_masked=False)
    put_back = masked.put_back(np.zeros((64, 64, 3), np.uint8))
    assert put_back.std() > 0
    across = int((np.asarray(masked.mask)[32] % 255 > 0).sum())
    down = int((np.asarray(masked.mask)[:, 32] % 255 > 0).sum())
    assert across > down


def test_an_empty_mask_draws_nothing_anew():
    picture, masked = inpainting(file=file_of(Image.new("L", (8, 8))))
    assert (masked.put_back(np.zeros((64, 64, 3), np.uint8)) == np.asarray(picture)).all()


def test_latents_are_held_where_the_mask_is_black():
    _, masked = inpainting(only_masked=False)
    mask = masked.latent_mask((8, 8))
    assert mask.shape == (1, 1, 8, 8)
    assert set(mask.flatten().tolist()) == {0.0, 1.0}
    assert mask[0, 0, 4, 4] == 1
    assert mask[0, 0, 0, 0] == 0


def test_surroundings_spread_into_the_mask_from_the_nearest_side():
    picture = HALVES.resize((128, 128), Image.Resampling.NEAREST)
    ImageDraw.Draw(picture).rectangle((32, 32, 96, 96), fill=(0, 255, 0))
    mask = Image.new("L", (128, 128))
    mask.paste(255, (30, 30, 99, 99))
    filled = np.asarray(surroundings_spread(picture, mask)).astype(int)
    assert filled[64, 35, 0] > filled[64, 35, 2]
    assert filled[64, 93, 2] > filled[64, 93, 0]
    assert filled[40:90, 40:90, 1].max() < 60
    assert (filled[:28] == np.asarray(picture)[:28]).all()


def test_edges_are_thin_lines_where_brightness_changes():
    lines = np.asarray(edge_map(disc((96, 96), (20, 20, 76, 76)).convert("RGB")))[..., 0]
    assert set(np.unique(lines)) == {0, 255}
    rows, columns = np.nonzero(lines)
    radii = np.hypot(rows - 48, columns - 48)
    assert np.abs(radii - 28).max() < 2.5
    assert 150 < len(rows) < 300


def test_a_flat_picture_has_no_edges():
    assert not np.asarray(edge_map(Image.new("RGB", (32, 32), (90, 90, 90)))).any()


def test_decoded_values_outside_the_range_are_cut():
    picture = to_pictures(torch.tensor([[[[-9.0]], [[0.0]], [[9.0]]]]))[0]
    assert picture.tolist() == [[[0, 128, 255]]]
