"""Safetensors headers: the honest ones are read as the reference reads them, the others refused with a
reason.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from model_packaging.errors import BadHeader, Unreadable
from model_packaging.safetensors_header import parse_header, read_header
from tests.packaging.hostile_headers import HostileHeader, file_of, good, hostile_headers

CASES = {case.name: case for case in hostile_headers()}


def test_there_are_enough_of_them():
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_hostile_headers_are_refused_with_a_reason(case: HostileHeader, tmp_path: Path):
    place = tmp_path / "a.safetensors"
    place.write_bytes(case.content)

    with pytest.raises(Unreadable) as refused:
        read_header(place)

    assert refused.value.reason == case.reason
    assert str(refused.value).isprintable()


def test_the_header_they_are_made_from_is_read(tmp_path: Path):
    place = tmp_path / "a.safetensors"
    place.write_bytes(file_of(good()))

    header = read_header(place)

    assert {name: (tensor.dtype, tensor.shape) for name, tensor in header.tensors.items()} == {
        "a": ("F32", (2,)),
        "b": ("F16", (2, 2)),
        "c": ("U8", (8,)),
    }
    assert header.metadata == {"format": "pt"}


def test_twenty_thousand_names_are_read(tmp_path: Path):
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    place = tmp_path / "a.safetensors"
    place.write_bytes(file_of({f"t{number}": empty for number in range(20_000)}, b""))

    assert len(read_header(place).tensors) == 20_000


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x80\x04", b"\x1f\x8b", b"PK"])
def test_a_length_that_begins_like_another_format_is_a_length_all_the_same(start: bytes, tmp_path: Path):
    text = json.dumps(good()).encode().ljust(int.from_bytes(start, "little"))
    place = tmp_path / "a.safetensors"
    place.write_bytes(file_of(text))

    assert place.read_bytes().startswith(start)
    assert set(read_header(place).tensors) == {"a", "b", "c"}


arrays = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name != "__metadata__"),
    st.tuples(
        st.sampled_from(["float32", "float16", "int64", "uint8", "bool"]),
        st.lists(st.integers(0, 4), max_size=4),
    ),
    max_size=8,
)
texts = st.dictionaries(st.text(), st.text(), max_size=4)


@given(shapes=arrays, metadata=texts)
def test_what_the_reference_writes_is_read(
    shapes: dict, metadata: dict, tmp_path_factory: pytest.TempPathFactory
):
    made = {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}
    place = tmp_path_factory.getbasetemp() / "reference.safetensors"
    place.write_bytes(save(made, metadata or None))  # what it writes for {} is no JSON

    header = read_header(place)

    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {
        name: array.shape for name, array in made.items()
    }
    assert {name: tensor.bytes for name, tensor in header.tensors.items()} == {
        name: array.nbytes for name, array in made.items()
    }
    assert dict(header.metadata) == metadata


@given(text=st.binary(max_size=300), size=st.integers(0, 1000))
def test_any_text_at_all_is_read_or_refused(text: bytes, size: int):
    try:
        header = parse_header(text, body_size=size)
    except BadHeader:
        return
    assert sum(tensor.bytes for tensor in header.tensors.values()) == size
