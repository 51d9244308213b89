"""Enlarging in pieces: exact sizes, and no seam wherever the pieces meet."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from container.serving.engine import UpscaleRequest
from container.serving.errors import UnknownName
from container.upscaling.choice import Choice, open_upscalers
from container.upscaling.tiles import enlarged
from container.upscaling.tiny import NAME, TinyNetwork, TinyUpscaler

NOISE = np.random.default_rng(3).integers(0, 256, (150, 130, 3), dtype=np.uint8)
"""The hardest to keep without seams."""


@pytest.fixture(scope="module")
def tiny():
    return TinyNetwork(threads=1)


@dataclass
class Repeated:
    """Every pixel `factor` times; remembers how large the pieces were."""

    factor: int
    context: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, pictures):
        self.seen.append(pictures.shape[2:])
        return pictures.repeat(self.factor, axis=2).repeat(self.factor, axis=3)


@pytest.mark.parametrize(("width", "height"), [(520, 600), (300, 411), (131, 150), (520, 200)])
def test_pieces_show_no_seam_anywhere(tiny, width, height):
    whole = enlarged(NOISE, tiny, width=width, height=height, tile=4096)
    pieces = enlarged(NOISE, tiny, width=width, height=height, tile=40)
    assert np.abs(whole.astype(int) - pieces).max() <= 1


@settings(max_examples=40, deadline=None)
@given(
    columns=st.integers(1, 30),
    rows=st.integers(1, 30),
    width=st.integers(1, 100),
    height=st.integers(1, 100),
    factor=st.integers(1, 4),
)
def test_any_picture_comes_out_at_any_size(columns, rows, width, height, factor):
    picture = np.full((rows, columns, 3), (9, 120, 250), dtype=np.uint8)
    drawn = enlarged(picture, Repeated(factor), width=width, height=height, tile=8)
    assert drawn.shape == (height, width, 3)
    assert (drawn == (9, 120, 250)).all()


def test_no_piece_is_larger_than_a_tile_and_its_surroundings():
    network = Repeated(4, context=6)
    enlarged(np.zeros((300, 500, 3), np.uint8), network, width=2000, height=1200, tile=64)
    reach = 6 + 2
    assert max(max(size) for size in network.seen) <= 64 + 2 * reach
    assert len(network.seen) == 8 * 5


def test_a_picture_that_shall_shrink_meets_no_network():
    network = Repeated(4)
    drawn = enlarged(NOISE, network, width=65, height=75)
    assert network.seen == []
    assert np.array_equal(drawn, Image.fromarray(NOISE).resize((65, 75), Image.Resampling.LANCZOS))


def test_more_than_the_factor_takes_the_network_twice():
    network = Repeated(2)
    assert enlarged(NOISE[:8, :8], network, width=32, height=32).shape == (32, 32, 3)
    assert network.seen == [(8, 8), (16, 16)]


def test_no_seam_after_the_network_ran_twice(tiny):
    small = NOISE[:40, :40]
    whole = enlarged(small, tiny, width=330, height=300, tile=4096)
    assert np.abs(whole.astype(int) - enlarged(small, tiny, width=330, height=300, tile=24)).max() <= 1


def test_the_tiny_upscaler_answers_the_exact_size(tiny):
    request = UpscaleRequest(picture=NOISE, upscaler_name=NAME, width=333, height=201)
    assert TinyUpscaler(tiny).upscale(request).shape == (201, 333, 3)


def test_the_choice_takes_the_one_asked_for():
    upscalers = open_upscalers(threads=1)
    assert upscalers.names == ("Tiny 4x", "Lanczos", "Nearest")
    small = NOISE[:20, :20]
    request = {"picture": small, "width": 80, "height": 80}
    drawn = {
        name: upscalers.upscale(UpscaleRequest(upscaler_name=name, **request)) for name in upscalers.names
    }
    assert np.array_equal(drawn["Nearest"], small.repeat(4, axis=0).repeat(4, axis=1))
    assert not np.array_equal(drawn["Tiny 4x"], drawn["Lanczos"])


def test_an_unknown_name_is_told_those_there_are(tiny):
    request = UpscaleRequest(picture=NOISE, upscaler_name="ESRGAN_4x", width=300, height=300)
    with pytest.raises(UnknownName, match="Tiny 4x"):
        Choice([TinyUpscaler(tiny)]).upscale(request)
