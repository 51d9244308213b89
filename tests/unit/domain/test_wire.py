import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import BadOutput
from bot.domain.job import Outcome
from bot.domain.wire import failure_notes, invocation_body, read_failure, read_output
from tests.factories import make_request

PICTURE = b"\x89PNG bytes"
ENCODED = base64.b64encode(PICTURE).decode()


def answer(**fields):
    return json.dumps(fields).encode()


def test_a_request_is_what_the_seeds_container_understands():
    body = json.loads(invocation_body(make_request(n=4, negative_prompt="blurry", model="fox.safetensors")))

    assert body["task"] == "text-to-image"
    assert body["model"] == "fox.safetensors"
    payload = body["txt2img_payload"]
    assert payload["prompt"] == "a red fox"
    assert payload["negative_prompt"] == "blurry"
    assert (payload["seed"], payload["batch_size"], payload["n_iter"]) == (7, 4, 1)
    assert payload["sampler_name"] == payload["sampler_index"] == "Euler a"


def test_a_variation_names_both_seeds():
    payload = json.loads(invocation_body(make_request(subseed=9, subseed_strength=0.3)))["txt2img_payload"]

    assert (payload["seed"], payload["subseed"], payload["subseed_strength"]) == (7, 9, 0.3)


def test_a_picture_to_start_from_makes_it_image_to_image():
    body = json.loads(invocation_body(make_request(strength=0.5), init_image=PICTURE))

    assert body["task"] == "image-to-image"
    assert body["img2img_payload"]["init_images"] == [ENCODED]
    assert body["img2img_payload"]["denoising_strength"] == 0.5


@pytest.mark.parametrize(
    "body",
    [
        answer(images=[ENCODED], parameters={}, info="{}"),
        answer(images=[f"data:image/png;base64,{ENCODED}"], parameters={}, info=""),
        answer(image=ENCODED, html_info=""),
        answer(images=[ENCODED]),
    ],
)
def test_pictures_are_read_in_every_form_a_container_writes_them(body):
    assert read_output(body).pictures == (PICTURE,)


def test_what_the_engine_tells_is_read_from_the_json_inside_the_json():
    info = json.dumps(
        {
            "all_seeds": [7, 8],
            "sd_model_name": "demo",
            "unknown_words": ["zeppelin"],
            "notes": ["n"],
            "gpu_seconds": 1.5,
        }
    )

    output = read_output(answer(images=[ENCODED, ENCODED], info=info))

    assert (output.seeds, output.model, output.unknown_words) == ((7, 8), "demo", ("zeppelin",))
    assert (output.notes, output.gpu_seconds) == (("n",), 1.5)


@pytest.mark.parametrize("seconds", ["Infinity", "-Infinity", "NaN", "-1", "1e300", "1e4000", "true", '"3"'])
def test_seconds_that_no_drawing_takes_are_not_booked(seconds):
    info = f'{{"gpu_seconds": {seconds}}}'

    assert read_output(answer(images=[ENCODED], info=info)).gpu_seconds is None


@pytest.mark.parametrize("seeds", ["[7, Infinity]", "[7, NaN]", "[-1]", '["7"]', "[7, null]", "[1e300]"])
def test_seeds_that_are_none_leave_the_pictures_to_ours(seeds):
    output = read_output(answer(images=[ENCODED], info=f'{{"all_seeds": {seeds}}}'))

    assert (output.pictures, output.seeds) == ((PICTURE,), ())


def test_an_engine_that_talks_much_does_not_make_a_row_too_large():
    talk = {name: ["x" * 10_000] * 1000 for name in ("unknown_words", "notes")}
    output = read_output(answer(images=[ENCODED], info=json.dumps({**talk, "sd_model_name": "m" * 10_000})))

    assert len("".join((output.model or "", *output.unknown_words, *output.notes))) < 10_000


def test_text_that_is_not_valid_unicode_leaves_the_picture():
    assert read_output(answer(images=[ENCODED], info='"\ud800"')).pictures == (PICTURE,)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("CUDA error", Outcome.ENGINE_FAILED),
        ({"code": "out_of_memory", "message": "x"}, Outcome.OUT_OF_MEMORY),
        ({"code": "never heard of"}, Outcome.ENGINE_FAILED),
        ({"code": ["odd"]}, Outcome.ENGINE_FAILED),
    ],
)
def test_an_error_in_a_success_object_is_a_failure(error, outcome):
    assert read_output(answer(error=error, images=[ENCODED])).failure is outcome


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        answer(images=[]),
        answer(images=[1]),
        answer(images=["not base64!"]),
        answer(images=[ENCODED] * 99),
        answer(images="abc"),
    ],
)
def test_anything_else_is_no_output(body):
    with pytest.raises(BadOutput):
        read_output(body)


def test_a_name_that_is_not_there_comes_back_with_the_nearest():
    error = {"code": "unknown_name", "message": "unknown model 'strips'", "nearest": ["stripes", 3, "dots"]}

    assert failure_notes(answer(error=error)) == ("The nearest it has: stripes, dots.",)
    assert read_output(answer(error=error)).notes == failure_notes(answer(error=error))
    assert failure_notes(answer(error="CUDA error")) == failure_notes(b"[") == ()


@given(st.binary(max_size=200))
def test_reading_a_failure_object_never_raises(body):
    assert isinstance(read_failure(body), Outcome)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_reading_any_json_gives_an_output_or_bad_output(value):
    try:
        output = read_output(json.dumps(value).encode())
    except BadOutput:
        return
    assert output.pictures or output.failure
