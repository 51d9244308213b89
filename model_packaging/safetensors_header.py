"""The header of a safetensors file, checked before it is believed; the weights are never read.

The format: 8 bytes little-endian header length, JSON of that length, then the tensors without hole or
overlap (https://huggingface.co/docs/safetensors). Limits of ours, checked before anything is parsed: a
header of 16 MB and 20,000 names, because the reference reader spends seconds on what no model needs.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_packaging.errors import BadHeader, Unreadable
from model_packaging.stand_ins import refuse_stand_in
from model_packaging.tensors import BITS, Tensor

MOST_BYTES = 16_000_000
MOST_NAMES = 20_000
MOST_DIMENSIONS = 16
MOST_ELEMENTS = 2**50
METADATA = "__metadata__"
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MOST_KEYS = 5 * MOST_NAMES
"""Four for each tensor; the rest is metadata."""
DEEPEST = 3

_DEPTH = {b"{": 1, b"[": 1, b"}": -1, b"]": -1, b":": 0}
# Possessive throughout: linear in the header, whatever it holds.
_TOKEN = re.compile(rb'(?:[^"{}\[\]:]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]:])', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """`tensors` by name in the order of the file; `data_offset` is where the first of them begins."""

    tensors: Mapping[str, Tensor]
    offsets: Mapping[str, tuple[int, int]]
    metadata: Mapping[str, str]
    data_offset: int


def read_header(path: Path) -> Header:
    """Raises `BadHeader` with a reason, or `Unreadable` where the file cannot be opened."""
    try:
        with path.open("rb") as file:
            return read_header_from(file.read, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise Unreadable("unreadable", f"{path} cannot be read: {error.strerror}") from error


def read_header_from(read: Callable[[int], bytes], size: int) -> Header:
    """The same from a stream of `size` bytes, read from its beginning and no further than the header."""
    start = read(9)
    length = _length(start, size)
    text = start[8:] + read(length - 1)
    return parse_header(text, body_size=size - 8 - length)


def looks_safe(start: bytes) -> bool:
    """Whether nine bytes may begin a safetensors file: a length that is none too large, then a brace."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MOST_BYTES


def parse_header(text: bytes, *, body_size: int) -> Header:
    """The JSON part, held against the size of what follows it. Raises `BadHeader`."""
    _measure(text)
    content = _parse(text)
    metadata = _metadata(content.pop(METADATA, {}))
    if len(content) > MOST_NAMES:
        raise BadHeader(
            "too-many-names", f"the header names {len(content)} tensors; no model needs that many"
        )
    tensors = {name: _tensor(name, entry) for name, entry in content.items()}
    offsets = {name: _offsets(name, content[name], tensors[name]) for name in tensors}
    _cover(offsets, body_size)
    return Header(tensors=tensors, offsets=offsets, metadata=metadata, data_offset=8 + len(text))


def _length(start: bytes, size: int) -> int:
    """Of the JSON, once it is sure that there is some."""
    length = int.from_bytes(start[:8], "little")
    if not looks_safe(start):
        _refuse_other_formats(start, size, length)
    if length + 8 > size:
        raise BadHeader("truncated", "the file ends inside its header; download it again")
    return length


def _refuse_other_formats(start: bytes, size: int, length: int) -> None:
    """Asked only then, because a header's length may happen to begin like another format."""
    refuse_stand_in(start)
    if start.startswith(PICKLE_STARTS):
        raise BadHeader("pickle", "this is a pickle under a false name; rename it to .ckpt and convert it")
    if len(start) < 9:
        raise BadHeader("truncated", f"the file has {size} bytes and no header; download it again")
    if length > MOST_BYTES:
        raise BadHeader("header-size", f"the header claims {length:,} bytes, more than {MOST_BYTES:,}")
    raise BadHeader("no-header", "the file has no safetensors header")


def _measure(text: bytes) -> None:
    """Depth and number of names, before anything is built. What is no JSON is left to the parser."""
    depth, names, position = 0, 0, 0
    while token := _TOKEN.match(text, position):
        position = token.end()
        depth += _DEPTH[token.group(1)]
        names += token.group(1) == b":"
        if depth > DEEPEST:
            raise BadHeader("nested", "the header is nested deeper than the format allows")
        if names > MOST_KEYS:
            raise BadHeader("too-many-names", f"the header names more than {MOST_NAMES:,} tensors")


def _parse(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadHeader("not-utf8", f"the header is not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise BadHeader("not-json", f"the header is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadHeader("not-json", "the header is no JSON object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise BadHeader("duplicate-name", f"the header names {twice[:80]!r} twice; readers disagree on it")
    return content


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _metadata(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadHeader("metadata", "the header's metadata may hold text only")
    return found


def _tensor(name: str, entry: Any) -> Tensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadHeader("entry", f"the header's entry {name[:80]!r} is no tensor")
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise BadHeader("dtype", f"tensor {name[:80]!r} has the unknown type {str(dtype)[:20]!r}")
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS or not all(map(_is_count, shape)):
        raise BadHeader("shape", f"tensor {name[:80]!r} has an impossible shape")
    if math.prod(shape) > MOST_ELEMENTS:
        raise BadHeader("shape", f"tensor {name[:80]!r} claims more elements than any file holds")
    return Tensor(dtype=dtype, shape=tuple(shape))


def _offsets(name: str, entry: dict[str, Any], tensor: Tensor) -> tuple[int, int]:
    offsets = entry["data_offsets"]
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise BadHeader("offsets", f"tensor {name[:80]!r} has no place in the file")
    begin, end = offsets
    if end - begin != tensor.bytes:
        raise BadHeader(
            "size", f"tensor {name[:80]!r} needs {tensor.bytes} bytes, its place has {end - begin}"
        )
    return begin, end


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_ELEMENTS


def _cover(offsets: Mapping[str, tuple[int, int]], body_size: int) -> None:
    """The tensors must fill the body from end to end."""
    reached, before = 0, "the header"
    for name, (begin, end) in sorted(offsets.items(), key=lambda item: item[1]):
        if begin < reached:
            raise BadHeader("overlap", f"tensor {name[:80]!r} overlaps {before[:80]!r}")
        if begin > reached:
            raise BadHeader(
                "hole", f"{begin - reached} bytes before tensor {name[:80]!r} belong to no tensor"
            )
        reached, before = end, name
    if reached > body_size:
        missing = reached - body_size
        raise BadHeader("truncated", f"the file ends {missing:,} bytes too early; download it again")
    if reached < body_size:
        raise BadHeader("trailing", f"{body_size - reached:,} bytes at the end belong to no tensor")
