"""A safetensors file written tensor by tensor, with no more than one of them in memory."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from model_packaging.errors import NotConvertible, WrongPlace
from model_packaging.safetensors_header import METADATA, MOST_BYTES
from model_packaging.tensors import BITS, Tensors

ALIGNMENT = 8


def write_safetensors(
    target: BinaryIO,
    tensors: Tensors,
    metadata: Mapping[str, str],
    numbers: Callable[[str], Iterable[bytes | memoryview]],
) -> None:
    """`numbers(name)` gives the little-endian bytes of that tensor. Order: widest type first, as the format
    asks.

    Raises `NotConvertible` when a tensor's bytes are not as many as its shape says.
    """
    names = sorted(tensors, key=lambda name: (-BITS[tensors[name].dtype], name))
    target.write(_header(names, tensors, metadata))
    for name in names:
        begin = target.tell()
        target.writelines(numbers(name))
        if target.tell() - begin != tensors[name].bytes:
            raise NotConvertible(f"tensor {name[:80]!r} did not come out at its size")


def _header(names: list[str], tensors: Tensors, metadata: Mapping[str, str]) -> bytes:
    if METADATA in tensors:
        raise NotConvertible(f"a tensor is called {METADATA}, which the format keeps for itself")
    content: dict[str, object] = {METADATA: dict(metadata)}
    offset = 0
    for name in names:
        tensor = tensors[name]
        place = [offset, offset + tensor.bytes]
        content[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": place}
        offset += tensor.bytes
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % ALIGNMENT)
    if len(text) > MOST_BYTES:
        raise NotConvertible("the names of the tensors take more room than a header may have")
    return len(text).to_bytes(8, "little") + text


@contextmanager
def written_at_once(place: Path, *, force: bool) -> Iterator[Path]:
    """A file beside `place` that takes its name once the block ends well, and goes away otherwise.

    Raises `WrongPlace` when something is there already and `force` is not set, however late it came.
    """
    if place.exists() and not force:
        raise WrongPlace(f"{place} is there already; --force replaces it")
    try:
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:100]}.", suffix=".part")
    except OSError as error:
        raise WrongPlace(f"cannot write to {place.parent}: {error.strerror}; name another folder") from error
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        _take_the_name(part, place, force=force)
    finally:
        part.unlink(missing_ok=True)


def _take_the_name(part: Path, place: Path, *, force: bool) -> None:
    if force:
        part.replace(place)
        return
    try:
        place.hardlink_to(part)
    except FileExistsError as error:
        raise WrongPlace(f"{place} is there already; --force replaces it") from error
    except OSError:
        part.replace(place)  # a file system without hard links
