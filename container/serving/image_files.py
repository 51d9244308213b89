"""Picture files: PNG, JPEG or WebP for callers that ask; marked always, with a prompt by setting only."""

import base64
import io
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image

from container.serving import png
from container.serving.ai_mark import DigitalSource, xmp_packet
from container.serving.engine import Picture


class ImageFormat(StrEnum):
    """By media type."""

    PNG = "image/png"
    JPEG = "image/jpeg"
    WEBP = "image/webp"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """`embed_parameters`: write webui's text of that name, prompt and settings, into the file."""

    format: ImageFormat = ImageFormat.PNG
    embed_parameters: bool = False


def accepted_format(accept: str) -> ImageFormat:
    """The format an Accept header prefers; PNG where it names none.

    Only whole media types count: the seed's bot sends `application/json;jpeg` and expects PNG all the same.
    """
    ranked = [(_quality(parameters), format_) for format_, parameters in _named(accept)]
    best = max((quality for quality, _ in ranked), default=0.0)
    return next((format_ for quality, format_ in ranked if quality == best > 0), ImageFormat.PNG)


def encode(
    picture: Picture,
    *,
    files: FileOptions,
    source: DigitalSource = DigitalSource.TRAINED,
    parameters: str | None = None,
) -> bytes:
    """One file. `parameters` go into it only where the options say so."""
    written = parameters if files.embed_parameters else None
    if files.format is ImageFormat.PNG:
        return png.encode(picture, parameters=written, source=source)
    options = {"quality": 90, "xmp": xmp_packet(source).encode()}
    if written is not None:
        options["exif"] = _exif(written)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, files.format.name, **options)
    return file.getvalue()


def encode_base64(
    picture: Picture,
    *,
    files: FileOptions,
    source: DigitalSource = DigitalSource.TRAINED,
    parameters: str | None = None,
) -> bytes:
    """The file as base64."""
    return base64.b64encode(encode(picture, files=files, source=source, parameters=parameters))


def _named(accept: str) -> list[tuple[ImageFormat, str]]:
    ranges = [part.partition(";") for part in accept.lower().split(",")]
    formats = list(ImageFormat)
    return [(ImageFormat(name.strip()), rest) for name, _, rest in ranges if name.strip() in formats]


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286


def _exif(parameters: str) -> bytes:
    """EXIF's user comment, where webui puts the parameters of files that have no text chunks."""
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + parameters.encode("utf-16-be", "replace")
    return exif.tobytes()
