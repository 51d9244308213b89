"""A request that cannot be drawn gets one typed error naming what was wrong, and the server goes on."""

import base64
import json
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from container.serving.drawing_task import DrawingTask
from container.serving.errors import ServingError
from container.serving.invocation import parse_invocation
from container.serving.pattern_engine import PatternEngine
from container.serving.settings import Limits
from container.serving.webui_fields import EXTRAS_BATCH, EXTRAS_SINGLE, IMG2IMG, TXT2IMG
from tests.container.conftest import encoded
from tests.container.served import SEED_PAYLOAD, image_to_image, serving, text_to_image


@pytest.fixture(scope="module")
def client():
    with serving(PatternEngine(), limits=Limits(body_bytes=200_000)) as client:
        yield client


def refused(client, body, *, status, code, field):
    """The error message; checks that the answer is the typed error expected and that drawing goes on."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post("/invocations", content=content)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (status, code, field)
    assert client.post("/invocations", json=text_to_image()).status_code == 200
    return error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"task": "text-to-image"',
        b"[]",
        b'"text-to-image"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"task": "text-to-image", "txt2img_payload": {"cfg_scale": NaN}}',
        b'{"task": "text-to-image", "txt2img_payload": {"cfg_scale": -Infinity}}',
        b'{"task": "text-to-image", "txt2img_payload": {"eta": 1e999}}',
        b'{"task": "text-to-image", "txt2img_payload": {"seed": ' + b"9" * 5000 + b"}}",
    ],
    ids=lambda body: body[:30],
)
def test_a_body_that_is_no_json_object_is_a_bad_request(client, body):
    refused(client, body, status=400, code="bad_request", field=None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "task"),
        ({"task": None}, "task"),
        ({"task": 7}, "task"),
        ({"task": "/sdapi/v1/options"}, "task"),
        ({"task": "extras-single-image"}, "extras_single_payload"),
        ({"task": "extras-batch-images", "extras_single_payload": {}}, "extras_batch_payload"),
        ({"task": "interrogate"}, "interrogate_payload"),
        ({**text_to_image(), "options": '{"sd_vae": "x"}'}, "options"),
        ({"task": "text-to-image"}, "txt2img_payload"),
        ({"task": "text-to-image", "txt2img_payload": []}, "txt2img_payload"),
        ({"task": "image-to-image", "txt2img_payload": {}}, "img2img_payload"),
        ({**text_to_image(), "model": 7}, "model"),
    ],
)
def test_a_malformed_envelope_is_refused_naming_its_field(client, body, field):
    refused(client, body, status=400, code="bad_request", field=field)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", 7),
        ("prompt", ["a"]),
        ("prompt", "\ud800"),
        ("prompt", "a" * 20_001),
        ("negative_prompt", {}),
        ("width", 0),
        ("width", -512),
        ("width", 56),
        ("width", 510),
        ("width", 2056),
        ("height", 10**30),
        ("height", "512"),
        ("height", 512.5),
        ("steps", 0),
        ("steps", 151),
        ("steps", True),
        ("cfg_scale", -0.1),
        ("cfg_scale", 30.1),
        ("cfg_scale", "7"),
        ("seed", -2),
        ("seed", 2**32),
        ("seed", 1.5),
        ("subseed", "x"),
        ("subseed_strength", 1.1),
        ("batch_size", 0),
        ("batch_size", 17),
        ("n_iter", 17),
        ("sampler_name", 7),
        ("init_images", ["x"]),
        ("override_settings", [1]),
    ],
)
def test_a_value_out_of_range_is_refused_naming_its_field(client, name, value):
    refused(client, text_to_image(**{name: value}), status=400, code="bad_request", field=name)


def test_batch_size_times_n_iter_is_limited(client):
    body = text_to_image(batch_size=4, n_iter=5)
    assert "20" in refused(client, body, status=400, code="bad_request", field="n_iter")


def test_the_pixels_of_all_pictures_together_are_limited(client):
    body = text_to_image(width=2048, height=2048, batch_size=5)
    refused(client, body, status=400, code="bad_request", field="batch_size")


@pytest.mark.parametrize("name", ["promt", "CFG", "lora", "__class__", "prompt ", ""])
def test_a_payload_field_of_no_webui_schema_is_refused_by_name(client, name):
    refused(client, text_to_image(**{name: 1}), status=400, code="bad_request", field=name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("script_name", "custom code"),
        ("alwayson_scripts", {"controlnet": {"args": []}}),
        ("save_images", True),
        ("infotext", "Steps: 1"),
    ],
)
def test_scripts_and_file_writes_are_never_forwarded(client, name, value):
    refused(client, text_to_image(**{name: value}), status=400, code="bad_request", field=name)


def test_script_args_with_a_script_are_refused_with_it(client):
    body = text_to_image(script_name="prompt matrix", script_args=[1])
    refused(client, body, status=400, code="bad_request", field="script_name")


@pytest.mark.parametrize("option", ["outdir_samples", "sd_lora", "api_enable_requests", "temp_dir"])
def test_server_options_cannot_be_overridden(client, option):
    body = text_to_image(override_settings={option: "/tmp"})
    refused(client, body, status=400, code="bad_request", field=f"override_settings.{option}")


def test_a_mask_is_refused_rather_than_painted_over(client, red_png):
    body = image_to_image(init_images=[red_png], mask=red_png)
    refused(client, body, status=400, code="bad_request", field="mask")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (text_to_image(sampler_name="Eulr"), "sampler_name"),
        (text_to_image(sampler_index="Eulr"), "sampler_index"),
        (text_to_image(scheduler="Karas"), "scheduler"),
    ],
)
def test_an_unknown_sampler_is_told_the_three_nearest(client, body, field):
    message = refused(client, body, status=422, code="unknown_name", field=field)
    assert message.count(",") == 2
    assert ("Euler" in message) or ("Karras" in message)


@pytest.mark.parametrize("name", ["striped", "../../etc/passwd", "/opt/ml/model/x.safetensors", "x" * 10_000])
def test_an_unknown_model_is_told_the_nearest(client, name):
    message = refused(
        client, {**text_to_image(), "model": name}, status=422, code="unknown_name", field="model"
    )
    assert message.endswith("nearest: stripes")
    assert len(message) < 200


def test_a_body_over_the_limit_is_refused_before_it_is_read(client):
    body = text_to_image(prompt="x" * 300_000)
    refused(client, body, status=413, code="body_too_large", field=None)


def test_a_chunked_body_over_the_limit_is_refused_too(client):
    response = client.post("/invocations", content=(b"x" * 50_000 for _ in range(10)))
    assert response.status_code == 413


def png_header(width, height):
    """A PNG that claims a size and holds nothing of it."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunk + b"\0" * 30).decode()


GIF = base64.b64encode(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;").decode()


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        ("http://169.254.169.254/latest/meta-data", "not valid base64"),
        ("file:///etc/passwd", "not valid base64"),
        ("%%%", "not valid base64"),
        ("é", "not valid base64"),
        ("", "not a PNG"),
        (None, "base64 text"),
        ({"image": "x"}, "base64 text"),
        (GIF, "not a PNG"),
        (base64.b64encode(b"<svg/>").decode(), "not a PNG"),
        (png_header(60_000, 60_000), "at most 16 megapixels"),
        (png_header(0, 5), "at most 16 megapixels"),
        (png_header(64, 64), "does not decode"),
    ],
)
def test_an_init_image_that_is_no_sane_picture_is_refused(client, picture, told):
    body = image_to_image(init_images=[picture])
    assert told in refused(client, body, status=400, code="bad_request", field="init_images[0]")


@pytest.mark.parametrize("images", [None, [], "x", ["x", "y"]])
def test_image_to_image_wants_one_init_image(client, images):
    refused(client, image_to_image(init_images=images), status=400, code="bad_request", field="init_images")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", "/invocations", 405)])
def test_other_routes_and_methods_are_refused_in_the_same_shape(client, method, path, status):
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"].keys() == {"code", "message", "field"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(sorted({*TXT2IMG, *IMG2IMG, *SEED_PAYLOAD, "init_images", "scheduler"}))
PAYLOADS = st.dictionaries(FIELDS | st.text(), JSON, max_size=6) | st.dictionaries(
    FIELDS, JSON, max_size=2
).map(lambda changes: SEED_PAYLOAD | changes)


TASKS = {"txt2img_payload": "text-to-image", "img2img_payload": "image-to-image"}
EXTRAS = {"extras_single_payload": EXTRAS_SINGLE, "extras_batch_payload": EXTRAS_BATCH}
EXTRAS_TASKS = {"extras_single_payload": "extras-single-image", "extras_batch_payload": "extras-batch-images"}
PICTURE = encoded(Image.new("RGB", (30, 20)))


def understood_or_refused(body):
    try:
        return parse_invocation(
            json.dumps(body).encode(),
            catalogue=PatternEngine().catalogue(),
            limits=Limits(),
            choose_seed=lambda: 1,
        )
    except ServingError as error:
        return error


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(sorted(TASKS)), payload=PAYLOADS)
def test_any_payload_is_either_understood_or_refused(key, payload):
    result = understood_or_refused({"task": TASKS[key], key: payload})
    if isinstance(result, ServingError):
        assert result.status in {400, 422}
        return
    assert isinstance(result, DrawingTask)
    assert 1 <= sum(batch.batch_size for batch in result.batches) <= Limits().max_images
    assert {batch.sampler_name for batch in result.batches} <= set(PatternEngine().catalogue().samplers)
    json.dumps(result.parameters, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(sorted(EXTRAS)), data=st.data())
def test_any_extras_payload_is_either_understood_or_refused(key, data):
    fields = st.sampled_from(sorted(EXTRAS[key]))
    changes = data.draw(st.dictionaries(fields, JSON | st.integers(0, 9000) | st.floats(0, 9), max_size=3))
    plain = {"image": PICTURE} if key == "extras_single_payload" else {"imageList": [{"data": PICTURE}] * 2}
    payload = {**plain, "upscaler_1": "Lanczos", **changes}
    result = understood_or_refused({"task": EXTRAS_TASKS[key], key: payload})
    if isinstance(result, ServingError):
        assert result.status in {400, 422}
        return
    width, height = result.scaling.result(30, 20) if result.upscaler else (30, 20)
    assert 1 <= width * height * len(result.files) <= Limits().max_pixels
