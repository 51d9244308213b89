"""A corpus of what is sent to break a server: one typed error each, little memory, and it goes on serving."""

import base64
import json
import subprocess
import sys

import pytest

from tests.container.bad_pictures import BOMBS, POLYGLOTS, SECRET
from tests.container.engines import EveryFeature
from tests.container.served import image_to_image, serving, text_to_image

TRAVERSALS = [
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "file:///etc/passwd",
    "stripes/../stripes",
    "./stripes",
    "stripes\0.safetensors",
    "%2e%2e%2fetc%2fpasswd",
    "Stable-diffusion/stripes",
    "~/.ssh/id_rsa",
    "con",
    "{}",
    "${jndi:ldap://127.0.0.1/x}",
    "a" * 50_000,
    "ｓｔｒｉｐｅｓ",
]


@pytest.fixture(scope="module")
def client():
    with serving(EveryFeature()) as client:
        yield client


def refused(client, body):
    """Status, code and field of the one typed error; a sound request afterwards is served."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post("/invocations", content=content)
    assert response.json().keys() == {"error"}
    assert len(response.content) < 2000
    assert client.post("/invocations", json=text_to_image()).status_code == 200
    error = response.json()["error"]
    return response.status_code, error["code"], error["field"]


def text(file):
    return base64.b64encode(file).decode()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_wherever_a_picture_may_stand(client, red_png, name):
    bomb = text(BOMBS[name])
    script = {"controlnet": {"args": [{"image": bomb, "model": "control_canny"}]}}
    places = {
        "init_images[0]": image_to_image(init_images=[bomb]),
        "mask": image_to_image(init_images=[red_png], mask=bomb),
        "alwayson_scripts.controlnet.args[0].image": text_to_image(alwayson_scripts=script),
        "image": {"task": "extras-single-image", "extras_single_payload": {"image": bomb}},
        "imageList[0].data": {
            "task": "extras-batch-images",
            "extras_batch_payload": {"imageList": [{"data": bomb}]},
        },
    }
    assert {field: refused(client, body) for field, body in places.items()} == {
        field: (400, "bad_request", field) for field in places
    }


@pytest.mark.parametrize("name", POLYGLOTS)
def test_of_a_polyglot_only_the_picture_is_used(client, name):
    extras = {"image": text(POLYGLOTS[name]), "upscaler_1": "Lanczos"}
    answers = [
        client.post("/invocations", json=image_to_image(init_images=[text(POLYGLOTS[name])])),
        client.post("/invocations", json={"task": "extras-single-image", "extras_single_payload": extras}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    first, second = (answer.json() for answer in answers)
    for image in (first["images"][0], second["image"]):
        assert SECRET not in base64.b64decode(image)
        assert b"run.sh" not in base64.b64decode(image)


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_name_never_leads_out_of_the_model_folder(client, name):
    asked = {
        "model": {**text_to_image(), "model": name},
        "vae": {**text_to_image(), "vae": name},
        "override_settings.sd_vae": text_to_image(override_settings={"sd_vae": name}),
        "alwayson_scripts.controlnet.args[0].model": text_to_image(
            alwayson_scripts={"controlnet": {"args": [{"image": None, "model": name}]}}
        ),
        "hr_upscaler": text_to_image(enable_hr=True, hr_upscaler=name),
        "sampler_name": text_to_image(sampler_name=name),
    }
    assert {field: refused(client, body) for field, body in asked.items()} == {
        field: (422, "unknown_name", field) for field in asked
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field in ("width", "height", "steps", "batch_size", "n_iter", "cfg_scale", "subseed_strength")
        for value in (-1, -(2**63), 10**30, 1e300, "512", [], {}, True)
    ]
    + [("width", 64.5), ("width", 65), ("seed", 2**32), ("seed", -2), ("seed", 0.5), ("seed", "x")],
)
def test_a_number_that_is_none_or_absurd_is_refused(client, field, value):
    assert refused(client, text_to_image(**{field: value})) == (400, "bad_request", field)


@pytest.mark.parametrize(
    "payload",
    [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"01", b"+1", b"0x10", b"1_000", b"1.", b".5"],
)
def test_a_number_that_is_not_json_is_refused(client, payload):
    body = b'{"task": "text-to-image", "txt2img_payload": {"cfg_scale": ' + payload + b"}}"
    assert refused(client, body) == (400, "bad_request", None)


WHOLE = json.dumps(text_to_image(prompt="ein Füchslein")).encode()


@pytest.mark.parametrize("length", range(1, len(WHOLE), 7))
def test_a_body_cut_short_is_refused(client, length):
    assert refused(client, WHOLE[:length]) == (400, "bad_request", None)


@pytest.mark.parametrize(
    "body",
    [
        WHOLE + b"x",
        WHOLE + WHOLE,
        b"\xef\xbb\xbf",
        b'{"task": "text-to-image", "txt2img_payload": {"prompt": "\xff"}}',
        b'{"task": ' * 50_000,
        b"[" * 10**6,
        b'"' + b"x" * 10**6,
        b"{" + b",".join(b'"k%d": 1' % n for n in range(100_000)),
        b"\0" * 1000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_something_else_is_refused(client, body):
    status, code, _ = refused(client, body)
    assert (status, code) == (400, "bad_request")


def test_a_hundred_thousand_keys_are_one_error(client):
    fields = {f"key{number}": number for number in range(100_000)}
    assert refused(client, text_to_image(**fields)) == (400, "bad_request", "key0")


@pytest.mark.parametrize(
    "value",
    ["%%%", "A", "AAA", "====", "data:image/png;base64,", "data:,x", "s3://bucket/key", "\ud800", "Ａ"],
)
def test_what_is_not_base64_of_a_picture_is_refused(client, value):
    assert refused(client, image_to_image(init_images=[value])) == (400, "bad_request", "init_images[0]")


STARVED = """
import base64, json, resource, sys
from container.serving.errors import ServingError
from container.serving.invocation import parse_invocation
from container.serving.pattern_engine import PatternEngine
from container.serving.settings import Limits
from tests.container.bad_pictures import BOMBS
from PIL import PngImagePlugin, JpegImagePlugin, WebPImagePlugin

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 2**20,) * 2)
for name, bomb in BOMBS.items():
    payload = {"init_images": [base64.b64encode(bomb).decode()]}
    body = json.dumps({"task": "image-to-image", "img2img_payload": payload}).encode()
    catalogue = PatternEngine().catalogue()
    try:
        parse_invocation(body, catalogue=catalogue, limits=Limits(), choose_seed=lambda: 1)
    except ServingError as error:
        print(error.status, name)
"""


def test_no_bomb_takes_much_memory():
    """In a process that may grow by 256 MiB; one picture of the largest size allowed takes 64."""
    ended = subprocess.run(
        [sys.executable, "-c", STARVED], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.splitlines() == [f"400 {name}" for name in BOMBS], ended.stderr
