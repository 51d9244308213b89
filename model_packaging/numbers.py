"""The numbers of a torch file's tensors, as little-endian bytes in C order, read where they lie."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from model_packaging.errors import Unreadable
from model_packaging.tensors import BITS, Tensor
from model_packaging.torch_file import StoredTensor
from model_packaging.torch_zip import Entry

CHUNK = 2**22
HALVED = {"F64", "F32", "BF16"}
"""The types that `--half` folds to F16; what is F16 or narrower, and whole numbers, stay as they are."""


def read_numbers(file: BinaryIO, stored: StoredTensor, entry: Entry) -> Iterator[bytes]:
    """Bit for bit. A tensor that is no plain stretch of its storage is gathered in memory first."""
    if not stored.is_contiguous:
        yield _gathered(file, stored, entry)
        return
    item = BITS[stored.tensor.dtype] // 8
    file.seek(entry.offset + stored.offset * item)
    left = stored.tensor.bytes
    while left:
        content = file.read(min(left, CHUNK))
        if not content:
            raise Unreadable("truncated", "the file ends inside its numbers; download it again")
        left -= len(content)
        yield content


def _gathered(file: BinaryIO, stored: StoredTensor, entry: Entry) -> bytes:
    item = BITS[stored.tensor.dtype] // 8
    file.seek(entry.offset + stored.offset * item)
    stretch = np.frombuffer(file.read(stored.span * item), dtype=f"V{item}")
    if len(stretch) < stored.span:
        raise Unreadable("truncated", "the file ends inside its numbers; download it again")
    strides = tuple(step * item for step in stored.stride)
    return np.lib.stride_tricks.as_strided(stretch, stored.tensor.shape, strides, writeable=False).tobytes()


def halved(tensor: Tensor) -> Tensor:
    """What `--half` makes of it."""
    return Tensor(dtype="F16", shape=tensor.shape) if tensor.dtype in HALVED else tensor


def to_half(chunks: Iterator[bytes], dtype: str) -> Iterator[bytes]:
    """Each number rounded to the nearest F16, ties to even; what is too large becomes infinite, as in
    torch.
    """
    if dtype not in HALVED:
        yield from chunks
        return
    for chunk in _whole_items(chunks, BITS[dtype] // 8):
        with np.errstate(over="ignore", invalid="ignore"):
            yield _wide(chunk, dtype).astype("<f2").tobytes()


def _wide(chunk: bytes, dtype: str) -> "np.ndarray[Any, Any]":
    """BF16 is the upper half of an F32."""
    if dtype == "BF16":
        return (np.frombuffer(chunk, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(chunk, "<f8" if dtype == "F64" else "<f4")


def _whole_items(chunks: Iterator[bytes], item: int) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        content = rest + chunk
        cut = len(content) - len(content) % item
        rest = content[cut:]
        yield content[:cut]
