"""Digests of a file that is read anyway: SHA-256 in a thread of its own, CRC-32 beside it."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from isal import isal_zlib

from model_packaging.contents import SourceFile
from model_packaging.errors import Unreadable
from model_packaging.kinds import Kind
from model_packaging.layout import folder_named

MOST_HEADER_BYTES = 16 * 2**20
AUTOV3_KINDS = (Kind.LORA, Kind.EMBEDDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """`sha256` in hex; `body_sha256` of what follows a safetensors header, "" where it was not asked for."""

    sha256: str
    crc32: int
    body_sha256: str = ""


class Digesting:
    """The digests of one file whose pieces come in order. The hasher works beside the caller.

    `body_offset`: where the part begins that webui's AutoV3 is about, None to leave it out.
    """

    def __init__(self, hasher: ThreadPoolExecutor, *, body_offset: int | None = None) -> None:
        self._hasher = hasher
        self._whole = hashlib.sha256()
        self._body = hashlib.sha256()
        self._body_offset = body_offset
        self._crc32 = 0
        self._done = 0

    def add(self, piece: memoryview) -> "tuple[int, Future[None]]":
        """The piece's CRC-32, and a future: the piece must stay as it is until that has ended."""
        crc32 = isal_zlib.crc32(piece)
        self._crc32 = isal_zlib.crc32_combine(self._crc32, crc32, len(piece))
        hashed = self._hasher.submit(self._hash, piece, self._done)
        self._done += len(piece)
        return crc32, hashed

    def finish(self) -> Digests:
        """Wait for the hasher. To be called once, after the last piece."""
        self._hasher.submit(lambda: None).result()
        body = self._body.hexdigest() if self._body_offset is not None else ""
        return Digests(sha256=self._whole.hexdigest(), crc32=self._crc32, body_sha256=body)

    def _hash(self, piece: memoryview, start: int) -> None:
        self._whole.update(piece)
        if self._body_offset is not None and start + len(piece) > self._body_offset:
            self._body.update(piece[max(0, self._body_offset - start) :])


def hasher() -> ThreadPoolExecutor:
    """The thread that hashes, to be used as a context."""
    return ThreadPoolExecutor(1, thread_name_prefix="hasher")


def read_into(descriptor: int, buffer: memoryview, start: int) -> None:
    """Fill the buffer from `start`. Raises `Unreadable` where the file ends earlier."""
    done = 0
    while done < len(buffer):
        got = os.preadv(descriptor, [buffer[done:]], start + done)
        if not got:
            raise Unreadable("changed", "a file became shorter while it was read; run it again")
        done += got


def read_span(descriptor: int, span: tuple[int, int]) -> bytes:
    """Start and length to those bytes. Raises `Unreadable` where the file ends earlier."""
    start, length = span
    body = os.pread(descriptor, length, start)
    while len(body) < length:
        more = os.pread(descriptor, length - len(body), start + len(body))
        if not more:
            raise Unreadable("changed", "a file became shorter while it was read; run it again")
        body += more
    return body


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
