"""The request of the seed project's notebook, as it stands, drawn by the real embedded engine."""

import pytest

from container.embedded.engine import EmbeddedEngine
from tests.container.served import CHOSEN_SEED, SEED_PAYLOAD, info, pictures, serving


@pytest.fixture(scope="module")
def answer():
    with serving(EmbeddedEngine()) as client:
        body = {"task": "text-to-image", "model": "emoji-64", "txt2img_payload": SEED_PAYLOAD}
        return client.post("/invocations", json=body, headers={"Accept": "application/json;jpeg"})


def test_it_is_answered_with_one_png_of_its_size(answer):
    assert answer.status_code == 200
    (picture,) = pictures(answer.json())
    assert (picture.format, picture.size) == ("PNG", (512, 512))


def test_its_sampler_draws_and_is_not_replaced(answer):
    told = info(answer.json())
    assert (told["sampler_name"], told["steps"]) == ("DPM++ 2S a Karras", 35)


def test_its_open_float_seeds_are_chosen_and_told(answer):
    told = info(answer.json())
    assert (told["all_seeds"], told["all_subseeds"]) == ([CHOSEN_SEED], [CHOSEN_SEED])


def test_what_had_no_effect_is_named(answer):
    assert info(answer.json())["notes"] == ["without effect here: restore_faces, script_args"]


def test_its_fields_come_back_as_understood(answer):
    understood = answer.json()["parameters"]
    assert understood["prompt"] == SEED_PAYLOAD["prompt"]
    assert understood["styles"] == ["None", "None"]
    assert understood["seed"] == CHOSEN_SEED
