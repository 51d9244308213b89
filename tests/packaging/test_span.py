"""Bytes of a file as the body of a request, and what happens to a file that changes while it is sent."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_packaging.contents import opened, source_file
from model_packaging.digests import STEP
from model_packaging.errors import Unreadable
from model_packaging.span import Span


@pytest.fixture(scope="module")
def content():
    return os.urandom(3 * STEP + 17)


@pytest.fixture(scope="module")
def descriptor(content, tmp_path_factory):
    place = tmp_path_factory.mktemp("span") / "file"
    place.write_bytes(content)
    with place.open("rb") as file:
        yield file.fileno()


@given(start=st.integers(0, 3 * STEP), amount=st.integers(1, 2 * STEP), length=st.integers(0, 2 * STEP))
def test_an_http_client_gets_every_byte_once_whatever_it_asks_for(start, amount, length, descriptor, content):
    wanted = content[start : start + length]
    span = Span(descriptor, start, len(wanted))
    sent = b"".join(bytes(step) for step in iter(lambda: span.read(amount), b""))
    assert (sent, len(span), span.tell()) == (wanted, len(wanted), len(wanted))
    assert (span.seek(0), span.read()) == (0, wanted)
    assert (span.seek(0, os.SEEK_END), span.read(), span.seek(-len(wanted), os.SEEK_CUR)) == (
        len(wanted),
        b"",
        0,
    )


def test_a_file_that_ends_too_early_is_not_sent(descriptor, content):
    with pytest.raises(Unreadable, match="became shorter"):
        Span(descriptor, len(content) - 5, 6).read()


def test_a_file_that_changed_is_told_before_what_it_broke(tmp_path):
    place = tmp_path / "base.safetensors"
    place.write_bytes(b"x" * 100)
    file = source_file(place, "Stable-diffusion/base.safetensors")
    with pytest.raises(Unreadable, match="changed meanwhile"):
        send_what_shrinks(file)


def send_what_shrinks(file):
    with opened(file) as descriptor:
        os.truncate(file.place, 50)
        Span(descriptor, 0, file.size).read()
