"""Small real pictures."""

import io

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (6, 4)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 80, 20)).save(stream, kind)
    return stream.getvalue()
