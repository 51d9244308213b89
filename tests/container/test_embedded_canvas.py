"""From the model's shapes to the sizes people ask for."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from container.embedded.canvas import native_shape, read_picture, resized, to_pictures


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(512, 512, (8, 8)), (1024, 576, (6, 11)), (768, 576, (7, 9)), (512, 768, (10, 7)), (2048, 64, (6, 11))],
)
def test_the_nearest_aspect_ratio_is_drawn_natively(width: int, height: int, shape: tuple[int, int]) -> None:
    assert native_shape(width, height) == shape


@given(st.integers(8, 96).map(lambda n: n * 8), st.integers(8, 96).map(lambda n: n * 8))
def test_every_size_is_met_exactly(width: int, height: int) -> None:
    rows, columns = native_shape(width, height)
    drawn = np.zeros((rows * 32, columns * 32, 3), dtype=np.uint8)
    assert resized(drawn, width=width, height=height).shape == (height, width, 3)


def test_a_very_wide_picture_continues_its_background() -> None:
    drawn = np.full((192, 352, 3), (10, 120, 200), dtype=np.uint8)
    drawn[60:130, 100:250] = (250, 10, 10)
    wide = resized(drawn, width=1536, height=256)
    assert (wide[:, :300] == (10, 120, 200)).all()
    assert (wide[:, -300:] == (10, 120, 200)).all()
    assert (wide[128, 768] == (250, 10, 10)).all()


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
