"""PNG files, written fast: one row filter by numpy, one pass of igzip.

Row filter "Up" with igzip level 1 packs a noisy 1024x1024 picture some thirty times faster than Pillow's
default and no larger; a picture with flat areas comes out about a fifth larger.
"""

import struct
from itertools import chain

import numpy as np
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray

from container.serving.ai_mark import DigitalSource, xmp_packet
from container.serving.engine import Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_Chunk = tuple[bytes, bytes, bytes]
"""Length and kind, body, checksum: joined only in the file, so that the pixels are copied once."""


def encode(
    picture: Picture, *, parameters: str | None = None, source: DigitalSource = DigitalSource.TRAINED
) -> bytes:
    """One PNG file of an RGB picture, uint8 of shape (height, width, 3), always marked with its source.

    `parameters` is webui's text of the same name (prompt and settings); left out of the file when None.
    """
    height, width, _ = picture.shape
    texts = [_international_text("XML:com.adobe.xmp", xmp_packet(source))]
    if parameters is not None:
        texts.append(_text("parameters", parameters))
    chunks = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        *texts,
        _chunk(b"IDAT", _deflated(_filtered(picture))),
        _chunk(b"IEND", b""),
    ]
    return b"".join([SIGNATURE, *chain.from_iterable(chunks)])


def _filtered(picture: Picture) -> NDArray[np.uint8]:
    """Scan lines with filter type 2 ("Up"): each byte less the one above it, the first row less nothing."""
    height, width, channels = picture.shape
    rows = picture.reshape(height, width * channels)
    lines = np.empty((height, 1 + width * channels), np.uint8)
    lines[:, 0] = 2
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    return lines


def _deflated(lines: NDArray[np.uint8]) -> bytes:
    """In zlib's format. Once filtered, looking back further than 512 bytes takes time and saves nothing."""
    return igzip_lib.compress(
        lines, 1, flag=igzip_lib.COMP_ZLIB, mem_level=igzip_lib.MEM_LEVEL_LARGE, hist_bits=9
    )


def _text(keyword: str, text: str) -> _Chunk:
    """Plain tEXt where Latin-1 holds the text, iTXt where not: as webui (through Pillow) writes it."""
    text = text.replace("\0", "")
    try:
        return _chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _international_text(keyword, text)


def _international_text(keyword: str, text: str) -> _Chunk:
    """An uncompressed iTXt chunk: keyword, flags, no language, no translated keyword, UTF-8 text."""
    return _chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode())


def _chunk(kind: bytes, body: bytes) -> _Chunk:
    checksum = isal_zlib.crc32(body, isal_zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind, body, struct.pack(">I", checksum)
