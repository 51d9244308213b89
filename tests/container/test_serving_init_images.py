"""Type and size of a picture are read from its first bytes, as Pillow would read them."""

import base64
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from container.serving.errors import BadRequest
from container.serving.init_images import Header, read_header, read_init_image

SAVED_AS = {
    "PNG": [{}],
    "JPEG": [{}, {"progressive": True}, {"exif": b"Exif\0\0" + b"x" * 500}],
    "WEBP": [{}, {"lossless": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\b\0\0\0\0\0\0"}],
}


def saved(format_, width, height, **options):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(file, format_, **options)
    return file.getvalue()


@pytest.mark.parametrize(("format_", "options"), [(f, o) for f, all_ in SAVED_AS.items() for o in all_])
@settings(max_examples=20, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_the_header_tells_what_pillow_saved(format_, options, width, height):
    file = saved(format_, width, height, **options)
    assert read_header(file) == Header(format=format_, width=width, height=height)


def read_or_refused(file):
    try:
        return read_init_image(base64.b64encode(file).decode(), field="init_images[0]", max_pixels=100)
    except BadRequest as error:
        return error.field


@settings(max_examples=150, deadline=None)
@given(start=st.sampled_from([saved(f, 5, 7) for f in SAVED_AS]), cut=st.integers(0, 60), tail=st.binary())
def test_broken_files_are_refused_or_decode_and_never_crash(start, cut, tail):
    file = start[:cut] + tail
    assert read_or_refused(file) in (file, "init_images[0]")


def test_a_truncated_picture_is_refused():
    text = base64.b64encode(saved("JPEG", 200, 200)[:-200]).decode()
    with pytest.raises(BadRequest, match="does not decode"):
        read_init_image(text, field="init_images[0]", max_pixels=10**6)


def test_a_jpeg_whose_segments_never_end_is_refused():
    assert read_header(b"\xff\xd8" + b"\xff\xe1\0\2" * 1000) is None
    assert read_header(b"\xff\xd8" + b"\xff" * 1000) is None
    assert read_header(b"\xff\xd8\xff\xe1" + struct.pack(">H", 0) + b"\0" * 20) is None


def test_the_file_itself_comes_back_untouched():
    file = saved("WEBP", 20, 10)
    text = base64.b64encode(file).decode()
    assert read_init_image(text, field="f", max_pixels=200) == file
    with pytest.raises(BadRequest, match="20x10 pixels"):
        read_init_image(text, field="f", max_pixels=199)
