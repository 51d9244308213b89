"""The extras tasks with the tiny upscaler, through the real server around the embedded engine."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from container.embedded.engine import EmbeddedEngine
from tests.container.conftest import encoded
from tests.container.served import pictures, serving

LARGE = Image.new("RGB", (1024, 1024), "white")
ImageDraw.Draw(LARGE).ellipse((200, 200, 824, 824), fill=(220, 60, 30))
ImageDraw.Draw(LARGE).rectangle((120, 440, 904, 600), fill=(40, 60, 200))
DRAWN = LARGE.reduce(4)
SMALL = DRAWN.resize((64, 64), Image.Resampling.BICUBIC)
"""A quarter of a drawing, which an upscaler shall find again."""


@pytest.fixture(scope="module")
def client():
    with serving(EmbeddedEngine()) as client:
        yield client


def answered(client, task, payload):
    kind = "single" if task == "extras-single-image" else "batch"
    body = {"task": task, f"extras_{kind}_payload": payload}
    response = client.post("/invocations", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def single(client, image, **fields):
    payload = {"image": encoded(image), "upscaling_resize": 4, **fields}
    body = answered(client, "extras-single-image", payload)
    return Image.open(io.BytesIO(base64.b64decode(body["image"], validate=True))).convert("RGB")


def error(picture):
    return np.abs(np.asarray(picture).astype(float) - np.asarray(DRAWN)).mean()


def test_the_catalogue_lists_it_first(client):
    listed = client.post("/invocations", json={"task": "catalogue"}).json()["upscalers"]
    assert listed == ["None", "Tiny 4x", "Lanczos", "Nearest"]


def test_it_comes_nearer_to_the_drawing_than_resampling_does(client):
    tiny, lanczos = (error(single(client, SMALL, upscaler_1=name)) for name in ("Tiny 4x", "Lanczos"))
    assert tiny < 0.85 * lanczos


def test_it_mends_what_jpeg_and_blur_did(client):
    file = io.BytesIO()
    SMALL.filter(ImageFilter.GaussianBlur(0.7)).save(file, "JPEG", quality=70)
    damaged = Image.open(file)
    tiny, lanczos = (error(single(client, damaged, upscaler_1=name)) for name in ("Tiny 4x", "Lanczos"))
    assert tiny < lanczos


@pytest.mark.parametrize("factor", [1, 1.5, 4, 5])
def test_any_factor_gives_its_exact_size(client, factor):
    drawn = single(client, SMALL.crop((0, 0, 40, 24)), upscaler_1="tiny 4x", upscaling_resize=factor)
    assert drawn.size == (int(40 * factor), int(24 * factor))


def test_a_batch_comes_back_in_its_order(client):
    files = [{"data": encoded(image), "name": "x.png"} for image in (SMALL, SMALL.crop((0, 0, 32, 64)))]
    payload = {"imageList": files, "upscaler_1": "Tiny 4x", "upscaling_resize": 2}
    body = answered(client, "extras-batch-images", payload)
    assert [picture.size for picture in pictures(body)] == [(128, 128), (64, 128)]
    assert "Tiny 4x" in body["html_info"]


def test_a_second_upscaler_is_blended_in(client):
    one, other = (
        np.asarray(single(client, SMALL, upscaler_1=name)).astype(int) for name in ("Tiny 4x", "Nearest")
    )
    both = single(client, SMALL, upscaler_1="Tiny 4x", upscaler_2="Nearest", extras_upscaler_2_visibility=0.5)
    assert np.abs(np.asarray(both) - (one + other) / 2).max() <= 1
