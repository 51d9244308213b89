"""What a caller of `/invocations` gets: pictures, the request as understood, and info."""

import json

import numpy as np
import pytest

from container.serving.pattern_engine import LABEL, PatternEngine
from tests.container.served import (
    CHOSEN_SEED,
    SEED_PAYLOAD,
    image_to_image,
    info,
    pictures,
    serving,
    text_to_image,
)


@pytest.fixture(scope="module")
def client():
    with serving(PatternEngine()) as client:
        yield client


def draw(client, body):
    response = client.post("/invocations", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_seed_notebooks_request_is_answered_with_one_picture_of_its_size(client):
    body = draw(client, {"task": "text-to-image", "model": "stripes", "txt2img_payload": SEED_PAYLOAD})
    (picture,) = pictures(body)
    assert picture.format == "PNG"
    assert picture.size == (512, 512)
    assert body["parameters"]["prompt"] == SEED_PAYLOAD["prompt"]


def test_what_had_no_effect_in_the_seed_notebooks_request_is_named_in_info(client):
    told = info(draw(client, {"task": "text-to-image", "txt2img_payload": SEED_PAYLOAD}))
    assert told["notes"] == [
        "without effect here: restore_faces, script_args",
        "sampler DPM++ 2S a is not in this engine; drew with Euler a",
        "schedule Karras had no effect with sampler Euler a",
        LABEL,
    ]
    assert told["sampler_name"] == "Euler a"


def test_info_is_a_json_text_with_webuis_keys(client):
    body = draw(client, text_to_image(seed=7, cfg_scale=5.5, negative_prompt="blur"))
    assert isinstance(body["info"], str)
    told = info(body)
    wanted = {
        "prompt": "a red apple",
        "negative_prompt": "blur",
        "all_prompts": ["a red apple"],
        "seed": 7,
        "all_seeds": [7],
        "width": 64,
        "height": 64,
        "sampler_name": "Euler",
        "cfg_scale": 5.5,
        "steps": 2,
        "sd_model_name": "stripes",
        "sd_model_hash": "0000000000",
        "unknown_words": [],
    }
    assert {key: told[key] for key in wanted} == wanted
    settings = "Steps: 2, Sampler: Euler, CFG scale: 5.5, Seed: 7, Size: 64x64"
    model = "Model hash: 0000000000, Model: stripes"
    assert told["infotexts"] == [f"a red apple\nNegative prompt: blur\n{settings}, {model}"]


def test_pictures_number_batch_size_times_n_iter_and_their_seeds_count_on(client):
    body = draw(client, text_to_image(seed=2**32 - 2, batch_size=2, n_iter=2))
    assert len(pictures(body)) == 4
    assert info(body)["all_seeds"] == [2**32 - 2, 2**32 - 1, 0, 1]


def test_variations_keep_the_seed_and_count_subseeds(client):
    body = draw(client, text_to_image(seed=5, subseed=9, subseed_strength=0.2, batch_size=2, n_iter=2))
    assert info(body)["all_seeds"] == [5, 5, 5, 5]
    assert info(body)["all_subseeds"] == [9, 10, 11, 12]


def test_each_picture_of_a_batch_is_the_one_its_seed_draws_alone(client):
    together = pictures(draw(client, text_to_image(seed=7, batch_size=2, n_iter=2)))
    alone = [pictures(draw(client, text_to_image(seed=seed)))[0] for seed in (7, 8, 9, 10)]
    assert [np.asarray(picture).tolist() for picture in together] == [
        np.asarray(picture).tolist() for picture in alone
    ]


@pytest.mark.parametrize("change", [{"prompt": "a green apple"}, {"seed": 8}, {"width": 72}])
def test_another_prompt_seed_or_size_draws_another_picture(client, change):
    asked = {"prompt": "a red apple", "seed": 7, "width": 64}
    first, again, other = (
        draw(client, text_to_image(**fields))["images"] for fields in (asked, asked, asked | change)
    )
    assert first == again != other


@pytest.mark.parametrize("seed", [-1, -1.0, None, ""])
def test_an_open_seed_is_chosen_by_the_server_and_reported(client, seed):
    assert info(draw(client, text_to_image(seed=seed)))["all_seeds"] == [CHOSEN_SEED]


def test_image_to_image_keeps_the_init_image_at_strength_zero(client, red_png):
    body = draw(client, image_to_image(init_images=[red_png], denoising_strength=0))
    assert pictures(body)[0].getpixel((9, 9)) == (255, 0, 0)
    assert body["parameters"]["init_images"] is None
    assert info(body)["denoising_strength"] == 0


def test_init_images_may_be_data_uris(client, red_png):
    plain = draw(client, image_to_image(init_images=[red_png], seed=1))
    as_uri = draw(client, image_to_image(init_images=[f"data:image/png;base64,{red_png}"], seed=1))
    assert plain["images"] == as_uri["images"]


def test_unknown_keys_beside_the_payload_are_ignored(client):
    draw(client, {**text_to_image(), "id": "x", "quality": 95, "vae": None, "extras_single_payload": {}})


@pytest.mark.parametrize(("vae", "named"), [("x.vae.pt", True), ("Automatic", False), ("None", False)])
def test_a_vae_beside_the_payload_is_ignored_and_named(client, vae, named):
    notes = info(draw(client, {**text_to_image(), "vae": vae}))["notes"]
    assert ("without effect here: vae" in notes) is named


@pytest.mark.parametrize("name", ["stripes", "0000000000", "stripes [0000000000]"])
def test_a_model_may_be_named_by_name_title_or_hash(client, name):
    draw(client, {**text_to_image(), "model": name})
    draw(client, text_to_image(override_settings={"sd_model_checkpoint": name}))


@pytest.mark.parametrize(
    ("asked", "drawn_with"),
    [
        ({"sampler_name": "euler A"}, "Euler a"),
        ({"sampler_name": "k_euler_a"}, "Euler a"),
        ({"sampler_index": "DDIM"}, "DDIM"),
        ({"sampler_name": "DPM++ 2M Karras"}, "DPM++ 2M"),
        ({"sampler_name": "DPM++ 2M", "scheduler": "Karras"}, "DPM++ 2M"),
        ({"sampler_name": "DPM++ 2M", "scheduler": "Automatic"}, "DPM++ 2M"),
        ({"sampler_name": "DDIM", "sampler_index": "Euler"}, "DDIM"),
        ({"sampler_name": "DPM++ 3M SDE Exponential"}, "Euler a"),
        ({"sampler_name": "UniPC"}, "DPM++ 2M"),
        ({}, "Euler"),
    ],
)
def test_sampler_names_of_all_webui_generations_find_their_sampler(client, asked, drawn_with):
    assert info(draw(client, text_to_image(**asked)))["sampler_name"] == drawn_with


def test_the_reply_has_a_content_length_and_is_not_chunked(client):
    response = client.post("/invocations", json=text_to_image())
    assert int(response.headers["content-length"]) == len(response.content)
    assert "transfer-encoding" not in response.headers
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.content).keys() == {"images", "parameters", "info"}


def test_pictures_carry_the_ai_mark_and_by_default_not_the_prompt(client):
    (picture,) = pictures(draw(client, text_to_image()))
    assert "trainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]
    assert "apple" not in repr(picture.info)


def test_pictures_carry_webuis_parameters_where_the_setting_says_so():
    with serving(PatternEngine(), embed_parameters=True) as client:
        body = draw(client, text_to_image(prompt="ein Apfel, снег", seed=3))
    (picture,) = pictures(body)
    assert picture.info["parameters"] == info(body)["infotexts"][0]
