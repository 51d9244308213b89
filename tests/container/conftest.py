import base64
import io

import pytest
from PIL import Image


def encoded(image: Image.Image, format_: str = "PNG") -> str:
    file = io.BytesIO()
    image.save(file, format_)
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="session")
def red_png() -> str:
    """A red 8x8 PNG as base64."""
    return encoded(Image.new("RGB", (8, 8), (255, 0, 0)))
