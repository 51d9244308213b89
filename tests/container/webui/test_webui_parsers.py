"""Whatever webui answers and whatever it is asked: typed errors, no words of a person, no stray key."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.serving.engine import DrawRequest, Hires, Model
from container.serving.errors import EngineCrash, OutOfMemory, ServingError, UnknownName
from container.webui.api import refusal
from container.webui.offers import File, Offers
from container.webui.payload import drawing_payload
from container.webui.reply import read_drawing
from tests.container.webui.standin import standin_png

FIRST = File(
    model=Model(name="first.safetensors", sha256="0123456789" + "0" * 54),
    title="first.safetensors [0123456789]",
)
STYLE = File(model=Model(name="style.safetensors"), title="style")
OFFERS = Offers(
    checkpoints=(FIRST,),
    checkpoint=FIRST.title,
    samplers=("Euler",),
    schedules={"Euler": ("Karras",)},
    upscalers=("Lanczos",),
    loras=(STYLE,),
    vaes=(),
    controlnets=(),
    control_modules=(),
    embeddings=(),
    splits_schedules=True,
    modules=False,
)
SECRET = "kumquat"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
error_bodies = json_values | st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.just(f"bad token in {SECRET}")
        for name in ("error", "detail", "body", "errors")
    },
)


@given(status=st.integers(200, 599), body=error_bodies)
def test_every_error_answer_is_one_typed_error_without_its_words(status, body):
    error = refusal(status, body)
    assert isinstance(error, ServingError)
    assert SECRET not in error.message


@given(
    place=st.sampled_from(["detail", "errors", "error", "body"]),
    words=st.sampled_from(
        ["CUDA out of memory. Tried to allocate 20.00 MiB", "OutOfMemoryError", "CUBLAS_STATUS_ALLOC_FAILED"]
    ),
)
def test_memory_is_known_to_be_short_wherever_it_is_said(place, words):
    assert isinstance(
        refusal(500, {"error": "", "detail": "", "body": None, "errors": ""} | {place: words}), OutOfMemory
    )


@given(
    answer=json_values
    | st.fixed_dictionaries({"images": json_values, "info": json_values.map(json.dumps)})
    | st.fixed_dictionaries(
        {
            "images": st.lists(st.text(max_size=30), max_size=3),
            "info": st.fixed_dictionaries(
                {
                    "sd_model_name": st.just("first"),
                    "all_seeds": json_values,
                    "index_of_first_image": json_values,
                }
            ).map(json.dumps),
        }
    )
)
def test_an_answer_that_is_no_drawing_is_an_engine_crash(answer):
    with pytest.raises(EngineCrash) as failed:
        read_drawing(answer, DrawRequest(prompt=SECRET), OFFERS, checkpoint=FIRST)
    assert SECRET not in failed.value.message


def one_picture(**told):
    """An answer with the picture that was asked for, and what webui tells about it."""
    info = {"sd_model_name": "first", "all_seeds": [0], "infotexts": [], **told}
    return {"images": [standin_png.picture("red", 64, 64)], "info": json.dumps(info)}


@pytest.mark.parametrize(
    "told",
    [
        {"sd_model_hash": None},
        {"sd_model_hash": "0123456789"},
        {"sd_model_hash": "7460a6fa"},  # webui's first kind of hash, of something else
        {"sd_model_name": None, "infotexts": ["a, Model: other\nSteps: 20, Model: first, Clip skip: 2"]},
        {"sd_model_name": None, "infotexts": ['Steps: 20, Model: "first", Seed: 1']},
    ],
)
def test_the_model_is_known_by_name_and_by_the_hash_of_its_file(told):
    request = DrawRequest(prompt="", width=64, height=64)
    assert len(read_drawing(one_picture(**told), request, OFFERS, checkpoint=FIRST).images) == 1


@pytest.mark.parametrize(
    "told",
    [
        {"sd_model_hash": "9999999999"},
        {"sd_model_name": "other"},
        {"sd_model_name": None, "infotexts": ["a, Model: first\nSteps: 20, Model: other"]},
        {"sd_model_name": None, "infotexts": ["Model: first\nSteps: 20"]},
    ],
)
def test_another_model_or_none_is_an_engine_crash(told):
    request = DrawRequest(prompt="", width=64, height=64)
    with pytest.raises(EngineCrash):
        read_drawing(one_picture(**told), request, OFFERS, checkpoint=FIRST)


PAYLOAD_KEYS = {
    *("prompt", "negative_prompt", "styles", "width", "height", "steps", "cfg_scale", "sampler_name"),
    *("sampler_index", "scheduler", "seed", "subseed", "subseed_strength", "batch_size", "n_iter", "eta"),
    *("restore_faces", "tiling", "override_settings", "override_settings_restore_afterwards", "send_images"),
    *("save_images", "do_not_save_samples", "do_not_save_grid", "enable_hr", "denoising_strength"),
    *("hr_resize_x", "hr_resize_y", "hr_upscaler", "hr_second_pass_steps", "hr_sampler_name", "hr_scheduler"),
    *("hr_prompt", "hr_negative_prompt"),
}


@given(
    prompt=st.text(max_size=60),
    negative=st.text(max_size=60),
    hires=st.none()
    | st.builds(Hires, width=st.just(128), height=st.just(128), prompt=st.none() | st.text(max_size=20)),
    eta=st.none() | st.floats(0, 1),
)
def test_only_known_keys_are_ever_sent_and_no_option_but_three(prompt, negative, hires, eta):
    request = DrawRequest(prompt=prompt, negative_prompt=negative, hires=hires, eta=eta)
    try:
        payload = drawing_payload(request, OFFERS, checkpoint=FIRST)
    except UnknownName:
        assert "<lo" in prompt + negative + str(hires) or "<lyco" in prompt + negative + str(hires)
        return
    assert payload.keys() <= PAYLOAD_KEYS
    assert payload["override_settings"].keys() == {
        "sd_model_checkpoint",
        "sd_vae",
        "CLIP_stop_at_last_layers",
    }
    json.dumps(payload)


@given(
    before=st.text(string.ascii_letters + " ", max_size=10),
    name=st.sampled_from(["style", "style.safetensors", " style "]),
    weight=st.floats(-2, 2, width=16),
)
def test_a_lora_is_renamed_and_the_rest_of_the_prompt_left_alone(before, name, weight):
    request = DrawRequest(prompt=f"{before}<lora:{name}:{weight}> after")
    payload = drawing_payload(request, OFFERS, checkpoint=FIRST)
    assert payload["prompt"] == f"{before}<lora:style:{weight}> after"
