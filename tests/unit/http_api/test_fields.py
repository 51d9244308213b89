"""Bodies in every format become the same order as the line that a person would type."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bot.domain.prompt import tidy
from bot.domain.prompt.catalogue import Catalogue
from bot.domain.request import Caps, LoraUse
from bot.http_api.drawing import read_body
from bot.http_api.fields import body_schema, fields_of
from bot.http_api.formats import MOST_NAMED, Format, translated
from bot.http_api.problems import Problem
from bot.services.core import Policy
from tests.aws.functions import build
from tests.unit.http_api.door import png

POLICY = Policy(
    catalogue=Catalogue(models=("dreamshaper", "anything v3"), loras=("inkwash",)), caps=Caps(max_n=4)
)
CORE = build(policy=POLICY)
PICTURE = base64.b64encode(png()).decode()
SCHEMA = Draft202012Validator(body_schema(fields_of(POLICY)))


def read(body, form=Format.OURS):
    return read_body(CORE, translated(body, form))


def wrong(body, form=Format.OURS):
    """The places that are refused, each with its fix."""
    with pytest.raises(Problem) as refused:
        read(body, form)
    assert refused.value.status == 422
    assert all(error.fix and error.detail for error in refused.value.errors)
    return [error.field for error in refused.value.errors]


def test_every_field_of_ours_reaches_the_order():
    asked = read(
        {
            "prompt": 'a "red" fox --ar 16:9',
            "negative_prompt": "text, hens",
            "width": 768,
            "height": 512,
            "n": 2,
            "steps": 30,
            "guidance": 7.5,
            "seed": 7,
            "subseed": 8,
            "subseed_strength": 0.25,
            "sampler": "euler",
            "model": "Anything-V3",
            "style": "watercolor",
            "loras": [{"name": "inkwash", "weight": 0.8}],
            "init_image": PICTURE,
            "strength": 0.6,
        }
    ).request

    assert (asked.prompt, asked.negative_prompt) == ('a "red" fox --ar 16:9', "text, hens")
    assert (asked.width, asked.height, asked.n, asked.steps, asked.guidance) == (768, 512, 2, 30, 7.5)
    assert (asked.seed, asked.subseed, asked.subseed_strength) == (7, 8, 0.25)
    assert (asked.sampler, asked.model, asked.style) == ("Euler", "anything v3", "watercolor")
    assert (asked.loras, asked.strength) == ((LoraUse(name="inkwash", weight=0.8),), 0.6)


def test_null_means_left_out():
    assert read({"prompt": "a fox", "seed": None, "model": None}) == read({"prompt": "a fox"})


@given(st.text(min_size=1, max_size=60), st.text(max_size=40))
def test_words_are_drawn_as_they_are_or_refused(prompt, unwanted):
    """No word of a client is ever taken for a flag."""
    try:
        asked = read({"prompt": prompt, "negative_prompt": unwanted})
    except Problem as refused:
        places = {error.field for error in refused.errors}
        asked = None
    if asked is None:
        assert places <= {"/prompt", "/negative_prompt"}
        return
    request = asked.request
    assert (request.width, request.height, request.n, request.steps) == (512, 512, 1, 20)
    assert (request.model, request.seed, request.style) == (None, None, None)
    if "::" not in prompt and "<" not in prompt:
        assert request.prompt == tidy(prompt)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"prompt": ""}, "/prompt"),
        ({"prompt": "  "}, "/prompt"),
        ({"prompt": 7}, "/prompt"),
        ({"prompt": "x" * 2001}, "/prompt"),
        ({"prompt": "half \ud800"}, "/prompt"),
        ({"prompt": "{red, blue} fox"}, "/prompt"),
        ({"width": 63}, "/width"),
        ({"width": 65}, "/width"),
        ({"width": "512"}, "/width"),
        ({"width": True}, "/width"),
        ({"width": 2048, "height": 2048}, "/width"),
        ({"width": 2048, "height": 64}, "/height"),
        ({"n": 5}, "/n"),
        ({"n": 1.5}, "/n"),
        ({"steps": 0}, "/steps"),
        ({"steps": 51}, "/steps"),
        ({"guidance": 0.5}, "/guidance"),
        ({"guidance": float("inf")}, "/guidance"),
        ({"seed": float("nan")}, "/seed"),
        ({"seed": -1}, "/seed"),
        ({"seed": 2**32}, "/seed"),
        ({"seed": 10**400}, "/seed"),
        ({"sampler": "Euler z b c"}, "/sampler"),
        ({"model": "gone"}, "/model"),
        ({"model": 'a" --n 4'}, "/model"),
        ({"style": "gone"}, "/style"),
        ({"loras": "inkwash"}, "/loras"),
        ({"loras": [{"name": "gone:one"}]}, "/loras"),
        ({"loras": [{"name": "inkwash", "weight": "x"}]}, "/loras/0/weight"),
        ({"loras": [{"nome": "inkwash"}]}, "/loras/0"),
        ({"loras": [{"name": "inkwash"}] * 6}, "/loras"),
        ({"init_image": "no base64!"}, "/init_image"),
        ({"init_image": base64.b64encode(b"GIF89a").decode()}, "/init_image"),
        ({"strength": 0.5}, "/strength"),
        ({"init_image": PICTURE, "strength": 2}, "/strength"),
        ({"widht": 512}, "/widht"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(change, place):
    assert wrong({"prompt": "a fox", **change}) == [place]


def test_every_wrong_field_is_told_at_once():
    assert set(wrong({"width": 7, "n": 99, "foo": 1})) == {"/prompt", "/width", "/n", "/foo"}


@pytest.mark.parametrize("form", [Format.OURS, Format.WEBUI])
def test_of_countless_wrong_fields_the_first_ones_are_told(form):
    """An answer of a function's must stay under 6 MB, and a body holds fields enough for more."""
    body = {"prompt": "a fox", **{f"f{number}": 1 for number in range(5000)}}

    assert wrong(body, form) == [f"/f{number}" for number in range(MOST_NAMED)]


def test_a_flag_is_told_by_the_fields_name():
    with pytest.raises(Problem) as refused:
        read({"prompt": "a fox", "model": "dreamshapper"})

    assert "dreamshaper" in refused.value.detail
    assert "--" not in refused.value.detail


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-10, 5000)
    | st.floats(-9, 999)
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)
PLAIN = ["width", "height", "n", "steps", "guidance", "seed", "subseed", "subseed_strength", "foo"]


@given(st.dictionaries(st.sampled_from(PLAIN), VALUES, max_size=4))
def test_what_the_document_allows_is_taken_and_nothing_else(fields):
    """Beside the schema stand only rules about two fields together: the pixels and the shape."""
    body = {"prompt": "a fox", **fields}
    try:
        read(body)
    except Problem as refused:
        together = {error.field for error in refused.errors} <= {"/width", "/height"}
        assert not SCHEMA.is_valid(body) or together
    else:
        assert SCHEMA.is_valid(body)


WEBUI = {
    "prompt": "a fox",
    "negative_prompt": "text",
    "cfg_scale": 7.5,
    "batch_size": 2,
    "n_iter": 2,
    "steps": 30,
    "seed": -1,
    "width": 512,
    "height": 768,
    "sampler_index": "Euler",
    "restore_faces": False,
    "override_settings": {"sd_model_checkpoint": "dreamshaper.safetensors [0123456789]"},
}


def test_a_webui_body_is_understood():
    asked = read(WEBUI, Format.WEBUI).request

    assert (asked.prompt, asked.negative_prompt, asked.guidance, asked.n) == ("a fox", "text", 7.5, 4)
    assert (asked.steps, asked.seed, asked.width, asked.height) == (30, None, 512, 768)
    assert (asked.sampler, asked.model) == ("Euler", "dreamshaper")


def test_a_webui_body_with_a_picture_is_image_to_image():
    body = {"prompt": "a fox", "init_images": [f"data:image/png;base64,{PICTURE}"], "denoising_strength": 0.4}
    asked = read(body, Format.WEBUI)

    assert asked.init_image is not None
    assert asked.request.strength == 0.4


def test_what_webui_would_do_and_we_do_not_is_told():
    asked = read({**WEBUI, "tiling": True, "enable_hr": True, "hr_scale": 2}, Format.WEBUI)

    assert asked.notes[0] == "Without effect here: tiling, enable_hr."


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"cfg_scale": 99}, "/cfg_scale"),
        ({"batch_size": 3, "n_iter": 3}, "/batch_size"),
        ({"batch_size": "2"}, "/batch_size"),
        ({"batch_size": True}, "/batch_size"),
        ({"batch_size": 1e300, "n_iter": 1e300}, "/batch_size"),
        ({"sampler_name": "gone gone"}, "/sampler_name"),
        ({"script_name": "x/y"}, "/script_name"),
        ({"alwayson_scripts": {"a": 1}}, "/alwayson_scripts"),
        ({"mask": "x"}, "/mask"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 2}}, "/override_settings"),
        ({"override_settings": {"sd_model_checkpoint": "gone"}}, "/override_settings/sd_model_checkpoint"),
        ({"init_images": ["x"]}, "/init_images/0"),
        ({"init_images": [PICTURE, PICTURE]}, "/init_images"),
        ({"no_such_field": 1}, "/no_such_field"),
    ],
)
def test_a_webui_field_is_told_by_its_own_name(change, place):
    assert wrong({**WEBUI, **change}, Format.WEBUI) == [place]


def test_the_seeds_body_is_understood():
    body = {"task": "text-to-image", "model": "dreamshaper.safetensors", "txt2img_payload": WEBUI, "id": "x"}
    asked = read({**body, "extras_single_payload": {}, "vae": None}, Format.SAGEMAKER).request

    assert (asked.prompt, asked.n, asked.model) == ("a fox", 4, "dreamshaper")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "/task"),
        ({"task": "interrogate"}, "/task"),
        ({"task": ["text-to-image"]}, "/task"),
        ({"task": "text-to-image"}, "/txt2img_payload"),
        ({"task": "image-to-image", "txt2img_payload": {"prompt": "x"}}, "/img2img_payload"),
        ({"task": "text-to-image", "txt2img_payload": {}}, "/txt2img_payload/prompt"),
        ({"task": "image-to-image", "img2img_payload": {"prompt": "x"}}, "/img2img_payload/init_images"),
        ({"task": "text-to-image", "txt2img_payload": {"prompt": "x"}, "vae": "v"}, "/vae"),
        ({"task": "text-to-image", "txt2img_payload": {"prompt": "x"}, "options": "{}"}, "/options"),
        ({"task": "text-to-image", "txt2img_payload": {"prompt": "x"}, "bucket": "b"}, "/bucket"),
        ({"task": "text-to-image", "txt2img_payload": {"prompt": "x"}, "model": "gone"}, "/model"),
        ({"task": "text-to-image", "txt2img_payload": {"prompt": "x", "n": 1}}, "/txt2img_payload/n"),
    ],
)
def test_what_is_wrong_in_the_seeds_body_is_told_by_its_place(body, place):
    assert wrong(body, Format.SAGEMAKER) == [place]
