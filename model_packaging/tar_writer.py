"""`model.tar.gz` in the seed's layout, streamed and byte-identical for identical files.

Weights hardly compress: stored blocks (RFC 1951 3.2.4) cost five bytes in 65,535 and no time, and any
`tar xzf` reads them. Deflate of the igzip class (`small`) saves about a tenth of half-precision weights.
"""

import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from isal import igzip_threaded, isal_zlib

STORED_BLOCK = 65_535
PIECE = 16 * STORED_BLOCK
"""Bytes to write at once: whole blocks, few enough that a core's cache still holds them."""

TAR_BLOCK = 512
TAR_RECORD = 20 * TAR_BLOCK
MADE_AT = 315_532_800
"""1980-01-01: a fixed time keeps archives identical, and tar warns of times near 1970."""

_GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF])
_LAST_BLOCK = bytes([1, 0, 0, 0xFF, 0xFF])
_FULL_BLOCK = bytes([0]) + STORED_BLOCK.to_bytes(2, "little") + (0xFFFF ^ STORED_BLOCK).to_bytes(2, "little")


class Sink(Protocol):
    """Where the archive's bytes go."""

    def write(self, piece: memoryview) -> object:
        """All of the piece, which may change as soon as this returns."""
        ...


class StoredGzip:
    """A gzip member of stored blocks, written to a descriptor. `close` writes its end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._crc32 = 0
        self._size = 0
        _write_all(descriptor, [memoryview(_GZIP_HEADER)])

    def write(self, piece: memoryview) -> None:
        """Raises OSError, such as for a full disk."""
        self._crc32 = isal_zlib.crc32(piece, self._crc32)
        self._size += len(piece)
        for start in range(0, len(piece), PIECE):
            _write_all(self._descriptor, _blocks(piece[start : start + PIECE]))

    def close(self) -> None:
        trailer = self._crc32.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little")
        _write_all(self._descriptor, [memoryview(_LAST_BLOCK + trailer)])


class TarWriter:
    """Members in the order they are given, each with fixed owner, mode and time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._written = 0

    def add_folder(self, path: str) -> None:
        self._write(memoryview(_header(path, 0, tarfile.DIRTYPE)))

    def begin_file(self, path: str, size: int) -> None:
        """The member's header; exactly `size` bytes must follow through `write`, then `end_file`."""
        self._write(memoryview(_header(path, size, tarfile.REGTYPE)))

    def write(self, piece: memoryview) -> None:
        self._write(piece)

    def end_file(self, size: int) -> None:
        self._write(memoryview(bytes(-size % TAR_BLOCK)))

    def close(self) -> None:
        """Two empty blocks, filled up to a whole record as tar does."""
        self._write(memoryview(bytes(2 * TAR_BLOCK)))
        self._write(memoryview(bytes(-self._written % TAR_RECORD)))

    def _write(self, piece: memoryview) -> None:
        if len(piece):
            self._sink.write(piece)
        self._written += len(piece)


@contextmanager
def archive(place: Path, *, small: bool, threads: int = 2) -> Iterator[TarWriter]:
    """Write an archive beside `place` and move it there once it is whole; nothing is left of a failure."""
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb", buffering=0) as file:
            yield from _compressed(file, small=small, threads=threads)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _compressed(file: BinaryIO, *, small: bool, threads: int) -> Iterator[TarWriter]:
    if small:
        with igzip_threaded.open(file, "wb", compresslevel=1, threads=threads) as deflated:
            writer = TarWriter(deflated)
            yield writer
            writer.close()
        return
    stored = StoredGzip(file.fileno())
    writer = TarWriter(stored)
    yield writer
    writer.close()
    stored.close()


def _header(path: str, size: int, kind: bytes) -> bytes:
    member = tarfile.TarInfo(path)
    member.size, member.type, member.mtime = size, kind, MADE_AT
    member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


def _blocks(piece: memoryview) -> list[memoryview]:
    pieces: list[memoryview] = []
    for start in range(0, len(piece), STORED_BLOCK):
        block = piece[start : start + STORED_BLOCK]
        pieces += [memoryview(_block_header(len(block))), block]
    return pieces


def _block_header(size: int) -> bytes:
    if size == STORED_BLOCK:
        return _FULL_BLOCK
    return bytes([0]) + size.to_bytes(2, "little") + (0xFFFF ^ size).to_bytes(2, "little")


def _write_all(descriptor: int, pieces: Sequence[memoryview]) -> None:
    """`writev` until everything is out: a nearly full disk or a pipe takes less than it was given."""
    left = list(pieces)
    while left:
        written = os.writev(descriptor, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left and written:
            left[0] = left[0][written:]
