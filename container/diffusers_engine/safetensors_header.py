"""The header of a safetensors file, checked before it is believed; no weight is read.

The format: 8 bytes of little-endian header length, JSON of that length, then the tensors without hole or
overlap (https://huggingface.co/docs/safetensors). Two limits are ours, because the reference reader spends
seconds on what no model needs: a header of 16 MB and 20,000 names.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container.diffusers_engine.errors import BadHeader

MOST_BYTES = 16_000_000
MOST_NAMES = 20_000
MOST_ELEMENTS = 2**50
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
_BITS |= {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32}
_BITS |= {"F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64}
_BITS |= dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Shape and type of every tensor by name, in the order of the file."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Raises `BadHeader` with a reason, or `OSError` where the file cannot be read."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = _length(file.read(9), size)
        file.seek(8)
        return parse_header(file.read(length), body_bytes=size - 8 - length)


def parse_header(text: bytes, *, body_bytes: int) -> Header:
    """The JSON part, held against the size of what follows it. Raises `BadHeader`."""
    content = _content(text)
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise BadHeader("its metadata holds something other than text")
    if len(content) > MOST_NAMES:
        raise BadHeader(f"it names more than {MOST_NAMES:,} tensors")
    _cover((_place(name, entry) for name, entry in content.items()), body_bytes)
    return Header(
        shapes={name: tuple(entry["shape"]) for name, entry in content.items()},
        dtypes={name: entry["dtype"] for name, entry in content.items()},
        metadata=metadata,
    )


def _length(start: bytes, size: int) -> int:
    if start.startswith(_PICKLE_STARTS):
        raise BadHeader("it is a pickle under a false name; convert it to safetensors")
    if len(start) < 9:
        raise BadHeader(f"it has {size} bytes and no header; download it again")
    length = int.from_bytes(start[:8], "little")
    if start[8:] != b"{":
        raise BadHeader("it has no safetensors header")
    if length > MOST_BYTES:
        raise BadHeader(f"its header claims {length:,} bytes; at most {MOST_BYTES:,} are read")
    if length + 8 > size:
        raise BadHeader("it ends inside its header; download it again")
    return length


def _content(text: bytes) -> dict[str, Any]:
    # Counted before anything is built. Every tensor has this key once; metadata in plain words hardly ever.
    if text.count(b'"data_offsets"') > MOST_NAMES:
        raise BadHeader(f"it names more than {MOST_NAMES:,} tensors")
    try:
        content = json.loads(text.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadHeader("its header is not JSON") from error
    if not isinstance(content, dict):
        raise BadHeader("its header is not a JSON object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise BadHeader("its header names something twice; readers disagree on what that means")
    return content


def _place(name: str, entry: Any) -> tuple[int, int, str]:
    """Begin, end and name of a tensor whose entry is sound."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadHeader(f"its entry {name[:80]!r} is no tensor")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise BadHeader(f"its tensor {name[:80]!r} has an unknown type")
    if not _are_counts(shape) or len(shape) > 16 or math.prod(shape) > MOST_ELEMENTS:
        raise BadHeader(f"its tensor {name[:80]!r} has an impossible shape")
    if not _are_counts(place) or len(place) != 2:
        raise BadHeader(f"its tensor {name[:80]!r} has no place in the file")
    begin, end = place
    if end - begin != (math.prod(shape) * _BITS[dtype] + 7) // 8:
        raise BadHeader(f"its tensor {name[:80]!r} has a place of the wrong size")
    return begin, end, name


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= MOST_ELEMENTS for value in values
    )


def _cover(places: Iterable[tuple[int, int, str]], body_bytes: int) -> None:
    """The tensors must fill the body from end to end."""
    reached = 0
    for begin, end, name in sorted(places):
        if begin != reached:
            fault = "overlaps another" if begin < reached else "leaves a hole before it"
            raise BadHeader(f"its tensor {name[:80]!r} {fault}")
        reached = end
    if reached > body_bytes:
        raise BadHeader(f"it ends {reached - body_bytes:,} bytes too early; download it again")
    if reached < body_bytes:
        raise BadHeader(f"{body_bytes - reached:,} bytes at its end belong to no tensor")
