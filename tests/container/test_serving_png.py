"""The fast encoder writes PNG files that readers decode to the very pixels that went in."""

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from container.serving import png

RDF_DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
SIDES = st.integers(1, 40)
PICTURES = st.tuples(SIDES, SIDES, st.just(3)).flatmap(lambda shape: arrays.arrays(np.uint8, shape))


def opened(file: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(file))
    image.load()  # text chunks behind the pixels, checksums
    return image


@settings(deadline=None)
@given(PICTURES)
def test_pillow_decodes_exactly_the_pixels_that_went_in(picture):
    image = opened(png.encode(picture))
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), picture)


def test_a_picture_that_is_a_view_of_a_larger_array_is_encoded_as_seen():
    whole = np.arange(64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 64, 3)
    seen = whole[::-1, 8:40]
    assert np.array_equal(np.asarray(opened(png.encode(seen))), seen)


def test_every_file_says_in_xmp_that_a_machine_made_it():
    image = opened(png.encode(np.zeros((8, 8, 3), np.uint8)))
    (description,) = ET.fromstring(image.info["XML:com.adobe.xmp"]).iter(RDF_DESCRIPTION)
    assert description.get(SOURCE_TYPE).endswith("/trainedAlgorithmicMedia")


@pytest.mark.parametrize("chunk", [b"tEXt", b"iTXt"])
def test_the_parameters_chunk_is_the_plainest_that_holds_the_text(chunk):
    text = {b"tEXt": "café\nSteps: 1", b"iTXt": "снег\nSteps: 1"}[chunk]
    file = png.encode(np.zeros((8, 8, 3), np.uint8), parameters=text)
    assert chunk + b"parameters\0" in file
    assert opened(file).info["parameters"] == text


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_parameters_text_survives_but_for_nul(text):
    image = opened(png.encode(np.zeros((8, 8, 3), np.uint8), parameters=text))
    assert image.info["parameters"] == text.replace("\0", "")
