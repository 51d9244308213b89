"""The whole server with this engine: the seed's request, what /ping says, what stays out of the output."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from container.webui.engine import LABEL, WebuiEngine
from tests.container.served import (
    CHOSEN_SEED,
    SEED_PAYLOAD,
    eventually,
    info,
    pictures,
    serving,
    text_to_image,
)
from tests.container.webui.standins import SOURCE, process_ended, processes, received, settings, webui

CANARY = "canary-words-nobody-may-read"


@pytest.fixture(scope="module", params=["1.5", "1.10", "forge"])
def served(request, shared_models):
    with webui(shared_models, dialect=request.param) as engine, serving(engine) as client:
        client.engine = engine
        yield client


@pytest.fixture(scope="module")
def answer(served):
    body = {"task": "text-to-image", "model": "first.safetensors", "txt2img_payload": SEED_PAYLOAD}
    return served.post("/invocations", json=body, headers={"Accept": "application/json;jpeg"})


def test_the_seeds_request_verbatim_draws_one_png_of_its_size(answer):
    assert answer.status_code == 200
    (picture,) = pictures(answer.json())
    assert (picture.format, picture.size) == ("PNG", (512, 512))


def test_its_sampler_draws_and_is_not_replaced(served):
    body = {"task": "text-to-image", "txt2img_payload": SEED_PAYLOAD}
    assert served.post("/invocations", json=body).status_code == 200
    sent = received(served.engine)
    assert f"{sent['sampler_name']} {sent.get('scheduler') or ''}".strip() == "DPM++ 2S a Karras"


def test_its_open_float_seeds_are_chosen_and_told(answer):
    told = info(answer.json())
    assert (told["all_seeds"], told["all_subseeds"]) == ([CHOSEN_SEED], [CHOSEN_SEED])


def test_what_had_no_effect_is_named(answer):
    assert info(answer.json())["notes"] == ["without effect here: restore_faces, script_args"]


def test_the_model_that_drew_is_told(answer):
    told = info(answer.json())
    assert told["sd_model_name"] == "first"
    assert len(told["sd_model_hash"]) == 10


def test_ping_says_that_it_was_tested_against_a_stand_in(served):
    report = served.get("/ping").json()
    assert (report["engine"], report["model"], report["label"]) == ("webui", "first", LABEL)


def test_an_unknown_lora_is_refused_before_webui_sees_it(served):
    body = text_to_image(prompt="an apple <lora:nowhere:1>")
    refused = served.post("/invocations", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["nearest"] == ["apple-style.safetensors"]


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [("oom", 507, "out_of_memory"), ("crash", 500, "engine_crash"), ("hangs", 504, "stuck")],
)
def test_failures_have_their_status_and_the_server_goes_on(shared_models, trouble, status, code):
    with webui(shared_models, trouble, silent_s=1.5) as engine, serving(engine) as client:
        failed = client.post("/invocations", json=text_to_image(prompt=f"trouble {CANARY}"))
        assert (failed.status_code, failed.json()["error"]["code"]) == (status, code)
        assert CANARY not in failed.text
        assert client.post("/invocations", json=text_to_image()).status_code == 200


def test_a_webui_that_dies_is_back_for_the_next_request(shared_models):
    with webui(shared_models, "dies-mid-draw") as engine, serving(engine) as client:
        before = processes(engine)
        assert client.post("/invocations", json=text_to_image(prompt="trouble")).status_code == 500
        assert client.post("/invocations", json=text_to_image()).status_code == 200
        assert processes(engine) != before


def test_a_server_whose_webui_cannot_start_is_never_healthy(shared_models):
    engine = WebuiEngine(shared_models, settings=settings("dies-at-start"))
    with serving(engine, ready=False) as client:
        eventually(lambda: "could not be set up" in client.get("/ping").json()["reason"])
        assert client.get("/ping").status_code == 503
    engine.close()


def test_the_real_process_keeps_prompts_to_itself_and_ends_webui(models):
    """`python -m container serve`, as in the image: its environment says where webui lies."""
    trouble = ["--standin-trouble", "prints-prompt", "--standin-trouble", "leaves-children"]
    environment = {"PATH": os.environ["PATH"], "WEBUI_SOURCE": str(SOURCE), "WEBUI_FLAGS": " ".join(trouble)}
    command = [sys.executable, "-m", "container", "--engine", "webui", "serve", "--port", "0"]
    with running([*command, "--models", str(models)], environment) as server:
        first = server.stdout.readline()
        assert "tested against a stand-in only" in first
        with httpx.Client(base_url=first.split()[0], timeout=60, trust_env=False) as client:
            eventually(lambda: healthy(client))
            body = text_to_image(prompt=f"trouble {CANARY}")
            assert client.post("/invocations", json=body).status_code == 200
        group = descendants(server.pid)
        server.send_signal(signal.SIGTERM)
        rest = server.stdout.read()
        assert server.wait(60) == 0
    assert "webui is ready" in rest
    assert CANARY not in rest
    assert len(group) == 3  # the leash, webui, and the child that webui started
    eventually(lambda: all(process_ended(number) for number in group))


@contextmanager
def running(command, environment):
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **output) as server:
        try:
            yield server
        finally:
            server.kill()


def descendants(ancestor):
    """Every process that the ancestor, or one of these, has started."""
    found = [ancestor]
    for process in found:
        found += [child for child, parent in parents().items() if parent == process]
    return found[1:]


def parents():
    """The number of each process's parent."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            text = (process / "stat").read_text()
            found[int(process.name)] = int(text.rpartition(")")[2].split()[1])
    return found


def healthy(client):
    with suppress(httpx.TransportError):
        return client.get("/ping").status_code == 200
    return False


def test_all_its_features_are_reachable_by_webuis_own_fields(served, red_png):
    unit = {"image": red_png, "model": "lines", "module": "canny", "control_mode": 1}
    body = text_to_image(
        prompt="a pear <lora:apple-style:0.5>",
        sampler_name="Euler a",
        tiling=True,
        enable_hr=True,
        hr_scale=2,
        hr_upscaler="Sharp4x",
        denoising_strength=0.5,
        override_settings={"sd_vae": "soft.safetensors", "CLIP_stop_at_last_layers": 2},
        alwayson_scripts={"controlnet": {"args": [unit]}},
    )
    answered = served.post("/invocations", json=body)
    assert answered.status_code == 200, answered.text
    assert [picture.size for picture in pictures(answered.json())] == [(128, 128)]
    sent = received(served.engine)
    assert (sent["tiling"], sent["hr_upscaler"]) == (True, "Sharp4x")
    assert sent["prompt"] == "a pear <lora:apple-style:0.5>"
    assert sent["override_settings"]["CLIP_stop_at_last_layers"] == 2
    assert sent["alwayson_scripts"]["controlnet"]["args"][0]["control_mode"] == "My prompt is more important"


def test_inpainting_is_reachable_by_webuis_own_fields(served, red_png):
    fields = {"init_images": [red_png], "mask": red_png, "inpainting_fill": 1, "mask_blur": 6}
    body = {"task": "image-to-image", "img2img_payload": {"steps": 2, "width": 64, "height": 64, **fields}}
    answered = served.post("/invocations", json=body)
    assert answered.status_code == 200, answered.text
    sent = received(served.engine)
    assert (sent["inpainting_fill"], sent["mask_blur"]) == (1, 6)


def test_extras_are_reachable_by_webuis_own_fields(served, red_png):
    fields = {"image": red_png, "upscaling_resize": 3, "upscaler_1": "Sharp4x"}
    body = {"task": "extras-single-image", "extras_single_payload": fields}
    answered = served.post("/invocations", json=body)
    assert answered.status_code == 200, answered.text
    assert pictures({"images": [answered.json()["image"]]})[0].size == (24, 24)
