"""From the model's shapes to the sizes people ask for."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from container.embedded.canvas import Picture, native_shape, read_picture, resized, to_pictures
from container.graphs import Array
from container.upscaling.tiny import TinyNetwork


@pytest.fixture(scope="module")
def network() -> TinyNetwork:
    return TinyNetwork(threads=1)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(512, 512, (8, 8)), (1024, 576, (6, 11)), (768, 576, (7, 9)), (512, 768, (10, 7)), (2048, 64, (6, 11))],
)
def test_the_nearest_aspect_ratio_is_drawn_natively(width: int, height: int, shape: tuple[int, int]) -> None:
    assert native_shape(width, height) == shape


class Repeated:
    """Every pixel twice a side: as fast as a network can be."""

    factor, context = 2, 0

    def __call__(self, pictures: Array, /) -> Array:
        return pictures.repeat(2, axis=2).repeat(2, axis=3)


@given(st.integers(8, 96).map(lambda n: n * 8), st.integers(8, 96).map(lambda n: n * 8))
def test_every_size_is_met_exactly(width: int, height: int) -> None:
    rows, columns = native_shape(width, height)
    drawn = np.zeros((rows * 32, columns * 32, 3), dtype=np.uint8)
    assert resized(drawn, Repeated(), width=width, height=height).shape == (height, width, 3)


def test_a_very_wide_picture_continues_its_background(network: TinyNetwork) -> None:
    drawn = np.full((192, 352, 3), (10, 120, 200), dtype=np.uint8)
    drawn[60:130, 100:250] = (250, 10, 10)
    wide = resized(drawn, network, width=1536, height=256)
    assert (np.abs(wide[:, :300] - np.array((10, 120, 200))) <= 4).all()
    assert (wide[:, :500] == wide[0, 0]).all()
    assert (wide[:, -500:] == wide[0, -1]).all()
    assert np.abs(wide[128, 768] - np.array((250, 10, 10))).max() <= 8


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_soft_edges_become_crisp(network: TinyNetwork, side: int) -> None:
    disc = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(disc).ellipse((60, 60, 196, 196), fill=(200, 30, 40))
    soft = np.asarray(disc.filter(ImageFilter.GaussianBlur(4)))
    stretched = np.asarray(Image.fromarray(soft).resize((side, side), Image.Resampling.LANCZOS))
    crisp = resized(soft, network, width=side, height=side)
    assert _steepest(crisp) > 1.5 * _steepest(stretched)
    assert np.abs(crisp[side // 2, side // 2] - np.array((200, 30, 40))).max() <= 8
    assert crisp[:20, :20].min() >= 247


def _steepest(picture: Picture) -> float:
    """The steepest step from a pixel to the next along the middle row, in 0 .. 255."""
    return float(np.abs(np.diff(picture[len(picture) // 2, :, 1].astype(int))).max())


def test_a_picture_of_few_pixels_is_not_made_smaller_first(network: TinyNetwork) -> None:
    start = np.zeros((64, 64, 3), dtype=np.uint8)
    start[:, ::8] = 255
    assert np.ptp(resized(start, network, width=256, height=256)[128]) > 200


def test_decoded_numbers_become_whole_pixels_within_range() -> None:
    decoded = np.zeros((1, 3, 2, 2), dtype=np.float32)
    decoded[0, :, 0, 0], decoded[0, :, 0, 1] = 1.7, -1.7
    (picture,) = to_pictures(decoded)
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[0, 1].tolist() == [0, 0, 0]
    assert picture[1, 1].tolist() == [128, 128, 128]


def test_a_picture_to_start_from_is_cropped_in_its_middle() -> None:
    picture = Image.new("RGB", (300, 100), "red")
    picture.paste((0, 0, 255), (100, 0, 200, 100))
    file = io.BytesIO()
    picture.save(file, "PNG")
    read = read_picture(file.getvalue(), shape=(8, 8))
    assert read.shape == (1, 3, 64, 64)
    assert read[0, :, 32, 32].tolist() == [-1, -1, 1]
    assert (read[0, 0] < 0).all()


def test_transparent_pictures_lie_on_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(file, "PNG")
    assert (read_picture(file.getvalue(), shape=(8, 8)) == 1).all()
