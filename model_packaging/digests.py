"""Digests of a file that is read anyway: SHA-256 and CRC-32 in the same pass."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from isal import isal_zlib

from model_packaging.contents import SourceFile
from model_packaging.errors import Unreadable
from model_packaging.kinds import Kind
from model_packaging.layout import folder_named

MOST_HEADER_BYTES = 16 * 2**20
STEP = 2**19
"""Bytes to read and hash at once: what a core's cache still holds is hashed half as fast again."""

AUTOV3_KINDS = (Kind.LORA, Kind.EMBEDDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """`sha256` in hex; `body_sha256` of what follows a safetensors header, "" where it was not asked for."""

    sha256: str
    crc32: int
    body_sha256: str = ""


class Digesting:
    """The digests of one file, taken while it is read from its beginning to its end.

    `body_offset`: where the part begins that webui's AutoV3 is about, None to leave it out. `known`: what a
    catalogue states of the file; then CRC-32 alone is computed, and must be the stated one.
    """

    def __init__(self, *, body_offset: int | None = None, known: Digests | None = None) -> None:
        self._known = known
        self._whole = hashlib.sha256()
        self._body = hashlib.sha256()
        self._body_offset = body_offset
        self._crc32 = 0

    def read(self, descriptor: int, buffer: memoryview, start: int) -> int:
        """Fill the buffer with the file's bytes from `start`; returns their CRC-32. Raises `Unreadable`."""
        crc32 = 0
        for at, length in spans(len(buffer), STEP):
            crc32 = self._take(descriptor, buffer[at : at + length], start + at, crc32)
        self._crc32 = isal_zlib.crc32_combine(self._crc32, crc32, len(buffer))
        return crc32

    def skim(self, descriptor: int, start: int, length: int) -> int:
        """The same for bytes that are wanted for nothing else: no more of them than a cache holds is kept.

        Memory that was not touched lately would cost half as much again as hashing it.
        """
        crc32, room = 0, memoryview(bytearray(min(length, STEP)))
        for at, size in spans(length, STEP):
            crc32 = self._take(descriptor, room[:size], start + at, crc32)
        self._crc32 = isal_zlib.crc32_combine(self._crc32, crc32, length)
        return crc32

    def finish(self) -> Digests:
        """After the last piece, once. Raises `Unreadable` where the file is not the known one."""
        if self._known is None:
            body = self._body.hexdigest() if self._body_offset is not None else ""
            return Digests(sha256=self._whole.hexdigest(), crc32=self._crc32, body_sha256=body)
        if self._known.crc32 != self._crc32:
            raise Unreadable("changed", "a file is not what catalogue.json says of it; run it with --rehash")
        return self._known

    def _take(self, descriptor: int, step: memoryview, start: int, crc32: int) -> int:
        read_into(descriptor, step, start)
        if self._known is None:
            self._hash(step, start)
        return int(isal_zlib.crc32(step, crc32))

    def _hash(self, step: memoryview, start: int) -> None:
        self._whole.update(step)
        if self._body_offset is not None and start + len(step) > self._body_offset:
            self._body.update(step[max(0, self._body_offset - start) :])


def read_into(descriptor: int, buffer: memoryview, start: int) -> None:
    """Fill the buffer from `start`. Raises `Unreadable` where the file ends earlier."""
    done = 0
    while done < len(buffer):
        got = os.preadv(descriptor, [buffer[done:]], start + done)
        if not got:
            raise Unreadable("changed", "a file became shorter while it was read; run it again")
        done += got


def spans(size: int, piece: int) -> Iterator[tuple[int, int]]:
    """Start and length of each piece of a file."""
    for start in range(0, size, piece):
        yield start, min(piece, size - start)


def body_offset_of(file: SourceFile, descriptor: int) -> int | None:
    """Where the tensors of a small safetensors file begin, which webui's AutoV3 is about; None for others.

    Large ones go by AutoV2, and a second SHA-256 over them would only cost time.
    """
    folder = folder_named(file.path.partition("/")[0])
    if folder is None or folder.kind not in AUTOV3_KINDS:
        return None
    head = os.pread(descriptor, 9, 0)
    offset = 8 + int.from_bytes(head[:8], "little")
    return offset if head[8:] == b"{" and offset <= min(file.size, MOST_HEADER_BYTES) else None
