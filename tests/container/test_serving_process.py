"""The server as people start it: one real process, from its first line to its last."""

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from container.__main__ import main
from tests.container.served import PATIENCE, Call, eventually, info, pictures, text_to_image

CANARY = "xylophone-canary-7f3a"

# The process runs an engine that quotes the prompt in every way a library has, and crashes so when the prompt
# says so.
MISBEHAVING = """
import logging, os, subprocess, sys, threading, warnings
from container import __main__, engines
from container.serving.pattern_engine import PatternEngine

def crash(words):
    raise ValueError(f"cannot draw {words}")

def quote(words):
    print(words)
    print(words, file=sys.stderr)
    os.write(1, words.encode())
    os.write(2, words.encode())
    subprocess.run(["echo", words], check=True)
    subprocess.run(["sh", "-c", 'echo "$0" >&2', words], check=True)
    warnings.warn(words)
    logging.warning(words)
    logging.getLogger("diffusers.pipelines").error("truncated: %s", words)
    try:
        crash(words)
    except ValueError:
        logging.getLogger("library").exception("could not: " + words)
    thread = threading.Thread(target=crash, args=[words], name="helper")
    thread.start()
    thread.join()

class Careless(PatternEngine):
    def generate(self, request, *, on_step):
        if request.prompt:
            quote(request.prompt)
        if "leave" in request.prompt:
            sys.exit(request.prompt)
        if "crash" in request.prompt:
            try:
                crash(request.prompt)
            except ValueError as error:
                raise RuntimeError(f"no picture of {request.prompt}") from error
        return super().generate(request, on_step=on_step)

    def upscale(self, request):
        quote(request.upscaler_name + str(request.picture[0, 0]))
        return super().upscale(request)

engines._OPENERS["pattern"] = lambda _folder: Careless(step_s=0.01)
sys.exit(__main__.main(sys.argv[1:]))
"""


@contextmanager
def process(*command):
    """A running server: (process, client); the process is gone afterwards whatever the test did."""
    running = subprocess.Popen(
        [sys.executable, *command, "serve", "--engine", "pattern", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address = re.match(r"(http://127\.0\.0\.1:\d+)/", running.stdout.readline())[1]
        with httpx.Client(base_url=address, timeout=PATIENCE, trust_env=False) as client:
            yield running, client
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def ready(client):
    try:
        return client.get("/ping").status_code == 200
    except httpx.TransportError:
        return False


def test_a_server_starts_draws_and_ends_cleanly_on_sigterm_without_saying_what_people_wrote(red_png):
    with process("-c", MISBEHAVING) as (running, client):
        eventually(lambda: ready(client))
        drawn = client.post("/invocations", json=text_to_image(prompt=CANARY))
        assert pictures(drawn.json())[0].size == (64, 64)
        assert info(drawn.json())["prompt"] == CANARY
        refused = [
            {**text_to_image(), "model": CANARY},
            {**text_to_image(), "task": CANARY},
            text_to_image(sampler_name=CANARY),
            text_to_image(**{CANARY: 1}),
            text_to_image(override_settings={CANARY: 1}),
            text_to_image(prompt=f"crash {CANARY}"),
            text_to_image(prompt=f"leave {CANARY}"),
            {
                "task": "extras-single-image",
                "extras_single_payload": {"image": red_png, "upscaler_1": CANARY},
            },
            {"task": "extras-single-image", "extras_single_payload": {"image": CANARY}},
            {"task": "extras-batch-images", "extras_batch_payload": {"imageList": [{"name": CANARY}]}},
            {"task": "interrogate", "interrogate_payload": {"image": red_png, "model": CANARY}},
        ]
        statuses = [client.post("/invocations", json=body).status_code for body in refused]
        assert statuses == [422, 400, 422, 400, 400, 500, 500, 422, 400, 400, 422]
        client.post("/invocations", content=f'{{"prompt": "{CANARY}"')
        client.post("/control/cancel", json={"id": CANARY})
        client.get(f"/{CANARY}")
        client.close()
        running.send_signal(signal.SIGTERM)
        said = running.stdout.read()
        assert running.wait(PATIENCE) == 0
    assert "text-to-image 64x64, 2 steps of Euler, 1 pictures" in said
    assert "engine crash: RuntimeError in generate" in said
    assert "engine crash: SystemExit in generate" in said
    assert "thread helper ended: ValueError in crash" in said
    assert "UserWarning in" in said
    assert re.search(r"diffusers\.pipelines, <string>:\d+: words withheld\n", said)
    assert re.search(r"library, <string>:\d+: words withheld \(ValueError in crash", said)
    assert CANARY not in said


def test_sigterm_lets_the_current_drawing_finish():
    with process("-c", MISBEHAVING) as (running, client):
        eventually(lambda: ready(client))
        with httpx.Client(base_url=client.base_url, timeout=PATIENCE, trust_env=False) as watcher:
            call = Call(client, text_to_image(steps=100))
            eventually(lambda: any(i["step"] for i in watcher.get("/control/progress").json()["invocations"]))
            running.send_signal(signal.SIGTERM)
            assert call.response().status_code == 200
        client.close()
        assert running.wait(PATIENCE) == 0


BUSY = """
import dataclasses, sys, time
from container import __main__, engines
from container.serving.pattern_engine import PatternEngine

class Busy(PatternEngine):
    def catalogue(self):
        return dataclasses.replace(super().catalogue(), warm_up_sides=(512,))

    def generate(self, request, *, on_step):
        if request.width == 512:
            time.sleep(600)
        return super().generate(request, on_step=on_step)

engines._OPENERS["pattern"] = lambda _folder: Busy()
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_sigterm_ends_the_process_though_the_engine_does_not_come_back():
    with process("-c", BUSY) as (running, client):
        eventually(lambda: ready(client))
        client.close()
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0


def test_the_control_routes_are_absent_on_sagemaker(monkeypatch):
    monkeypatch.setenv("SAGEMAKER_REGION", "eu-west-1")
    with process("-m", "container") as (_, client):
        eventually(lambda: ready(client))
        assert client.get("/control/progress").status_code == 404


def test_a_taken_port_is_a_clear_message_and_no_traceback():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "container", "serve", "--engine", "pattern", "--port", port],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"
    )


def test_a_models_folder_that_this_engine_does_not_draw_with_is_said_to_be_unused(
    capsys, tmp_path, monkeypatch
):
    (tmp_path / "Stable-diffusion").mkdir()
    (tmp_path / "Stable-diffusion/rpg.safetensors").touch()
    monkeypatch.setenv("ckpt", "/opt/ml/model/Stable-diffusion/other.safetensors")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--engine", "pattern", "--models", str(tmp_path), "--port", port]) == 1
    said = capsys.readouterr().err
    assert "the 1 checkpoints in" in said
    assert "not used" in said
    assert "ckpt names /opt/ml/model/Stable-diffusion/other.safetensors, which is not there" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["draw"],
        ["serve", "--engine", "crayons"],
        ["serve", "--port", "x"],
        ["serve", "--port", "65536"],
        ["serve", "--models", "/no/such"],
    ],
)
def test_bad_usage_ends_with_status_two(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
