"""Picture files that mean harm, or mean two things at once, for tests of who reads them."""

import io
import struct
import zipfile
import zlib

from PIL import Image

SECRET = b"<script>polyglot-canary</script>"


def png(width=32, height=32):
    return _saved(Image.new("RGB", (width, height), (9, 99, 199)), "PNG")


def _saved(image, format_, **options):
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_of(width, height, *chunks):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


def _many_scans(times):
    """A progressive JPEG whose scans are all there again and again."""
    file = _saved(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    first = file.index(b"\xff\xda")
    scans = file[first:-2]
    return file[:first] + scans * times + b"\xff\xd9"


def _webp_header(width, height):
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _exif():
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    return exif.tobytes()


def _zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("run.sh", SECRET)
    return file.getvalue()


ZEROS = zlib.compress(bytes(64 * 2**20), 9)
"""Sixty-four megabytes of nothing in sixty-four kilobytes."""

BOMBS = {
    "a png that claims 3.6 gigapixels": _png_of(60_000, 60_000, _chunk(b"IDAT", ZEROS)),
    "a png that claims more pixels than it has": _png_of(4000, 3900, _chunk(b"IDAT", zlib.compress(b"x"))),
    "a png whose rows never were": _png_of(8, 8),
    "a png with a text that inflates": _png_of(
        8, 8, *[_chunk(b"zTXt", b"t\0\0" + ZEROS) for _ in range(9)], _chunk(b"IDAT", zlib.compress(b"x"))
    ),
    "a png with a colour profile that inflates": _png_of(
        8, 8, _chunk(b"iCCP", b"p\0\0" + ZEROS), _chunk(b"IDAT", zlib.compress(b"x"))
    ),
    "a png with no height": _png_of(5, 0),
    "a jpeg of a thousand scans": _many_scans(100),
    "a jpeg cut short": _saved(Image.effect_noise((500, 500), 50), "JPEG")[:3000],
    "a webp that claims 281 gigapixels": _webp_header(2**24, 2**24),
    "a webp of nothing": _webp_header(16, 16),
    "a webp whose exif is none": _saved(Image.new("RGB", (16, 16)), "WEBP", exif=b"Exif\0\0" + SECRET),
    "a gif": _saved(Image.new("P", (2, 2)), "GIF"),
    "a tiff": _saved(Image.new("RGB", (2, 2)), "TIFF"),
    "an eps that would be a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "an svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a picture after a gif's first bytes": b"GIF89a" + png(),
    "a picture in a zip": _zip(),
    "half a signature": b"\x89PNG",
    "a riff of sound": b"RIFF\x24\0\0\0WAVEfmt ",
}
"""Each must be refused."""

POLYGLOTS = {
    "a png with a zip behind it": png() + _zip(),
    "a png with a page behind it": png() + SECRET,
    "a png with a page inside": _png_of(
        2, 2, _chunk(b"tEXt", b"c\0" + SECRET), _chunk(b"IDAT", zlib.compress(bytes(14)))
    ),
    "a jpeg with a page in its comment": _saved(Image.new("RGB", (16, 16)), "JPEG", comment=SECRET),
    "a webp with a page in its exif": _saved(Image.new("RGB", (16, 16)), "WEBP", exif=_exif()),
}
"""Pictures, and something else too: drawn from, and nothing of the rest comes back."""
