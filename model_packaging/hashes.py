"""Every digest people and services know a model file by, in one reading of it."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from model_packaging.errors import Unreadable

CHUNK = 4 * 2**20
MIB = 2**20
AUTOV1_BYTES = 64 * 2**10

OnProgress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


def unheard(_done: int, _whole: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """`sha256` in full, and webui's short forms of it as infotexts and civitai show them.

    AutoV1: 64 KiB at 1 MiB, 8 digits (old, collides). AutoV2: the whole file, 10 digits. AutoV3: the file
    behind a safetensors header, 12 digits, "" for a file that has none.
    """

    sha256: str
    autov1: str
    autov2: str
    autov3: str


def hash_file(path: Path, on_progress: OnProgress = unheard) -> Hashes:
    """One pass over the file with a few MiB in memory. Raises `Unreadable`, also if it changes meanwhile."""
    try:
        with path.open("rb", buffering=0) as file:
            return _hash(file.fileno(), on_progress)
    except OSError as error:
        raise Unreadable("unreadable", f"{path} cannot be read: {error.strerror}") from error


def _hash(descriptor: int, on_progress: OnProgress) -> Hashes:
    size = os.fstat(descriptor).st_size
    body_offset = _body_offset(descriptor, size)
    whole, body = hashlib.sha256(), hashlib.sha256()
    done, before = 0, _nothing()
    # hashlib lets go of the interpreter lock: AutoV3 costs a second core instead of twice the time.
    with ThreadPoolExecutor(1) as beside:
        for chunk in _chunks(descriptor):
            behind_header = chunk[max(0, body_offset - done) :]
            also = beside.submit(body.update, behind_header) if body_offset else _nothing()
            whole.update(chunk)
            before.result()
            before = also
            done += len(chunk)
            if done > size:
                break  # it grows, perhaps for ever
            on_progress(done, size)
    if done != size:
        raise Unreadable("changed", "the file changed while it was read; try again once its copy is complete")
    return Hashes(
        sha256=whole.hexdigest(),
        autov1=hashlib.sha256(os.pread(descriptor, AUTOV1_BYTES, MIB)).hexdigest()[:8],
        autov2=whole.hexdigest()[:10],
        autov3=body.hexdigest()[:12] if body_offset else "",
    )


def _chunks(descriptor: int) -> Iterator[memoryview]:
    """Views of two buffers in turn: each is used up before the next but one is read."""
    buffers = (memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK)))
    offset = 0
    for turn in itertools.cycle(buffers):
        got = os.preadv(descriptor, [turn], offset)
        if not got:
            return
        yield turn[:got]
        offset += got


def _body_offset(descriptor: int, size: int) -> int:
    """Where the tensors of a safetensors file begin; 0 for any other file."""
    start = os.pread(descriptor, 9, 0)
    offset = 8 + int.from_bytes(start[:8], "little")
    return offset if start[8:] == b"{" and offset <= size else 0


def _nothing() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done
