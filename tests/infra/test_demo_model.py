"""`imagine demo --model`: a checkpoint of one's own in the demo."""

import base64
import io
import json
import shutil
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.cli import main
from infra.local import model_file
from infra.local.children import Child, free_port
from infra.local.demo import Demo
from infra.local.model_file import CannotUse, check_model, lay_out

CHECKPOINT = Path(__file__).resolve().parents[2] / "container/embedded/model.safetensors"
DETAIL = CHECKPOINT.with_name("detail.safetensors")


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["demo", "--port", str(free_port()), *words]) == 2
    return capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path, capsys):
    said = refusal(["--model", str(tmp_path / "gone.safetensors")], capsys)
    assert str(tmp_path / "gone.safetensors") in said
    assert "--model" in said


def test_a_text_is_no_model_file(tmp_path, capsys):
    (tmp_path / "notes.safetensors").write_text("by the way")
    assert "is no model file" in refusal(["--model", str(tmp_path / "notes.safetensors")], capsys)


def test_a_file_that_is_no_checkpoint_is_refused(capsys):
    assert "takes a whole checkpoint" in refusal(["--model", str(DETAIL)], capsys)


def test_a_missing_model_folder_is_named(tmp_path, capsys):
    said = refusal(["--model", str(CHECKPOINT), "--models", str(tmp_path / "gone")], capsys)
    assert f"{tmp_path / 'gone'} is no folder" in said


def test_without_torch_it_says_what_installs_it(monkeypatch):
    monkeypatch.setattr(
        model_file.importlib.util, "find_spec", lambda name: None if name == "torch" else name
    )
    with pytest.raises(CannotUse, match="make demo MODEL=FILE") as refused:
        check_model(CHECKPOINT)
    assert "needs torch;" in str(refused.value)
    assert "requirements/diffusers.txt" in str(refused.value)


def test_the_folder_is_made_of_links(tmp_path):
    beside = tmp_path / "mine"
    for place in ("Lora", "Stable-diffusion"):
        (beside / place).mkdir(parents=True)
    (beside / "Lora/foxes.safetensors").write_bytes(b"x")
    folder = lay_out(tmp_path / "models", model=CHECKPOINT, beside=beside)
    assert (folder / "Stable-diffusion/model.safetensors").readlink() == CHECKPOINT
    assert [path.name for path in (folder / "Stable-diffusion").iterdir()] == ["model.safetensors"]
    assert (folder / "Lora/foxes.safetensors").read_bytes() == b"x"


def test_emptying_the_home_leaves_the_checkpoint_alone(tmp_path):
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"weights")
    lay_out(tmp_path / "home/models", model=mine)
    shutil.rmtree(tmp_path / "home")
    assert mine.read_bytes() == b"weights"


def test_the_demos_inference_server_draws_with_the_checkpoint(tmp_path):
    pytest.importorskip("torch")
    demo = Demo(
        port=free_port(),
        home=tmp_path,
        engine="diffusers",
        model=CHECKPOINT,
        environment={"OMP_NUM_THREADS": "2"},
    )
    lay_out(tmp_path / "models", model=CHECKPOINT)
    inference = demo.recipes()[0]
    child = Child(inference, environment=demo.environment)
    try:
        child.wait_ready(patience=280)
        body = answered(inference.ready_url.replace("/ping", "/invocations"), prompt="a red apple")
    finally:
        child.stop()
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(body["images"][0]))).convert("RGB")).astype(
        int
    )
    middle = picture[24:40, 24:40].mean(axis=(0, 1))
    assert middle[0] > middle[1] + 60
    assert json.loads(body["info"])["sd_model_name"] == "model"


def answered(url: str, *, prompt: str) -> dict:
    payload = {"prompt": prompt, "width": 64, "height": 64, "steps": 12, "seed": 3}
    body = json.dumps({"task": "text-to-image", "txt2img_payload": payload}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=280) as reply:
        return json.load(reply)
