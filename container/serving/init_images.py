"""Pictures that arrive inside a request: what they are is read from their first bytes before anything
decodes them.

A few kilobytes can claim, or inflate to, gigabytes of pixels. So the type and the size are taken from the
header by the few lines below, and only a picture of a known type and a sane size reaches a decoder.
"""

import base64
import binascii
import io
import struct
from dataclasses import dataclass

from PIL import Image, ImageOps

from container.serving.errors import BadRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A picture file's type, in Pillow's words, and its size in pixels."""

    format: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


class PictureReader:
    """Reads the pictures of one request: each at most `each_pixels`, all together at most `all_pixels`."""

    def __init__(self, *, each_pixels: int, all_pixels: int) -> None:
        self._each_pixels = each_pixels
        self._left = all_pixels

    def read(self, text: object, *, field: str) -> bytes:
        """As `read_init_image`; also refuses what would be too much together with those read before."""
        file = read_init_image(text, field=field, max_pixels=min(self._each_pixels, self._left))
        header = read_header(file)
        self._left -= header.pixels if header else 0
        return file


def read_init_image(text: object, *, field: str, max_pixels: int) -> bytes:
    """The file inside a base64 text or `data:` URI, proven to be a PNG, JPEG or WEBP that decodes and turns
    upright.

    Raises `BadRequest` naming the field. URLs are never followed.
    """
    file = _decode_base64(text, field=field)
    header = read_header(file)
    if header is None:
        raise BadRequest("not a PNG, JPEG or WEBP file", field=field)
    if not 0 < header.pixels <= max_pixels:
        size = f"{header.width}x{header.height}"
        raise BadRequest(f"{size} pixels; at most {max_pixels // 10**6} megapixels", field=field)
    if file.count(_JPEG_SCAN) > _MOST_JPEG_SCANS and header.format == "JPEG":
        raise BadRequest("a JPEG file of too many scans", field=field)
    try:
        with Image.open(io.BytesIO(file), formats=[header.format]) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # damaged EXIF fails here, not in an engine
    except Exception as error:  # a hostile file may trip a decoder in any way
        raise BadRequest(f"the {header.format} file does not decode", field=field) from error
    return file


def read_header(file: bytes) -> Header | None:
    """Type and size as the file's header claims them, or None for anything but PNG, JPEG and WEBP."""
    if file.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(file)
    if file.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    if file.startswith(b"RIFF") and file[8:12] == b"WEBP":
        return _webp(file)
    return None


def _decode_base64(text: object, *, field: str) -> bytes:
    if not isinstance(text, str):
        raise BadRequest("must be a base64 text", field=field)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("not valid base64 (URLs and paths are not accepted)", field=field) from error


def _png(file: bytes) -> Header | None:
    if len(file) < 24 or file[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", file[16:24])
    return Header(format="PNG", width=width, height=height)


_MAX_JPEG_SEGMENTS = 4096
_JPEG_SCAN = b"\xff\xda"  # only as a marker: in the coded data 0xFF is followed by 0
_MOST_JPEG_SCANS = 64  # progressive files have about ten; each costs a walk over the whole picture
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers; the three are DHT, JPG, DAC


def _jpeg(file: bytes) -> Header | None:
    """Walk the segments up to the frame header, which holds height before width."""
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        if at + 9 > len(file) or file[at] != 0xFF:
            break
        marker = file[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", file[at + 5 : at + 9])
            return Header(format="JPEG", width=width, height=height)
        at += 2 + struct.unpack(">H", file[at + 2 : at + 4])[0]
    return None


def _webp(file: bytes) -> Header | None:
    """The three kinds of first chunk: lossy, lossless, extended (RFC 9649)."""
    kind, body = file[12:16], file[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", body[6:10]))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
    else:
        return None
    return Header(format="WEBP", width=width, height=height)
