"""The request of the seed project's notebook, as it stands, drawn by both engines of ours."""

from dataclasses import dataclass

import httpx
import pytest

from container.engines import open_engine
from container.serving.model_folder import read_model_folder
from tests.container.served import CHOSEN_SEED, SEED_PAYLOAD, info, pictures, serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    response: httpx.Response
    sampler: str
    settings: str


def ask(engine, model):
    with serving(engine) as client:
        body = {"task": "text-to-image", "model": model, "txt2img_payload": SEED_PAYLOAD}
        accept = {"Accept": "application/json;jpeg"}
        return client.post("/invocations", json=body, headers=accept, timeout=250)


def by_embedded(_folder):
    return Answered(
        response=ask(open_engine("embedded"), "emoji-64"),
        sampler="DPM++ 2S a Karras",
        settings="Steps: 35, Sampler: DPM++ 2S a Karras, CFG scale: 7, ",
    )


def by_diffusers(folder):
    """With random weights in the layout of a Stable Diffusion 1.5 file, named as in the seed's `ckpt`."""
    torch = pytest.importorskip("torch")
    from tests.container.diffusers.checkpoints import checkpoint

    (folder / "Stable-diffusion").mkdir()
    checkpoint(folder / "Stable-diffusion" / "rpg.safetensors")
    models = read_model_folder(folder, default="/opt/ml/model/Stable-diffusion/rpg.safetensors")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    response = ask(open_engine("diffusers", models), "rpg.safetensors")
    torch.set_num_threads(before)
    return Answered(
        response=response,
        sampler="DPM++ 2S a",
        settings="Steps: 35, Sampler: DPM++ 2S a, Schedule type: Karras, CFG scale: 7, ",
    )


@pytest.fixture(scope="module", params=[by_embedded, by_diffusers], ids=["embedded", "diffusers"])
def answered(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("models"))


@pytest.fixture
def body(answered):
    return answered.response.json()


def test_it_is_answered_with_one_png_of_its_size(answered, body):
    assert answered.response.status_code == 200
    (picture,) = pictures(body)
    assert (picture.format, picture.size) == ("PNG", (512, 512))


def test_its_sampler_and_schedule_draw_and_are_not_replaced(answered, body):
    told = info(body)
    assert (told["sampler_name"], told["steps"]) == (answered.sampler, 35)
    assert answered.settings in told["infotexts"][0]


def test_its_open_float_seeds_are_chosen_and_told(body):
    told = info(body)
    assert (told["all_seeds"], told["all_subseeds"]) == ([CHOSEN_SEED], [CHOSEN_SEED])


def test_what_had_no_effect_is_named(body):
    assert info(body)["notes"] == ["without effect here: restore_faces, script_args"]


def test_its_fields_come_back_as_understood(body):
    understood = body["parameters"]
    assert understood["prompt"] == SEED_PAYLOAD["prompt"]
    assert understood["styles"] == ["None", "None"]
    assert understood["seed"] == CHOSEN_SEED
