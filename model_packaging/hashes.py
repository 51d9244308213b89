"""Every digest people and services know a model file by, in one reading of it."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from model_packaging.errors import Unreadable

MIB = 2**20
CHUNK = MIB // 4
"""What a core's cache still holds when it is hashed, beside whatever else runs there."""

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
    """Read the file once, in a few MiB of memory. Raises `Unreadable`, also if it changes meanwhile.

    AutoV3 has a reader of its own beside the first one: the disk is read once, the page cache twice.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return _hash(file.fileno(), on_progress)
    except OSError as error:
        raise Unreadable("unreadable", f"{path} cannot be read: {error.strerror}") from error


def _hash(descriptor: int, on_progress: OnProgress) -> Hashes:
    size = os.fstat(descriptor).st_size
    body_offset = _body_offset(descriptor, size)
    # hashlib lets go of the interpreter lock: AutoV3 costs a second core instead of twice the time.
    with ThreadPoolExecutor(1) as beside:
        body = beside.submit(_sha256, descriptor, (body_offset, size), unheard) if body_offset else None
        sha256 = _sha256(descriptor, (0, size), on_progress)
        autov3 = body.result()[:12] if body else ""
    return Hashes(
        sha256=sha256,
        autov1=hashlib.sha256(os.pread(descriptor, AUTOV1_BYTES, MIB)).hexdigest()[:8],
        autov2=sha256[:10],
        autov3=autov3,
    )


def _sha256(descriptor: int, reach: tuple[int, int], on_progress: OnProgress) -> str:
    """Of the bytes within `reach`, behind which the file must end."""
    done, size = reach
    told, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
    while (got := os.preadv(descriptor, [buffer], done)) and done <= size:
        told.update(buffer[:got])
        done += got
        on_progress(done, size)
    if done != size:
        raise Unreadable("changed", "the file changed while it was read; try again once its copy is complete")
    return told.hexdigest()


def _body_offset(descriptor: int, size: int) -> int:
    """Where the tensors of a safetensors file begin; 0 for any other file."""
    start = os.pread(descriptor, 9, 0)
    offset = 8 + int.from_bytes(start[:8], "little")
    return offset if start[8:] == b"{" and offset <= size else 0
