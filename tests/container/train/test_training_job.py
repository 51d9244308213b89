"""The training job as SageMaker Training runs it, on the embedded model's checkpoint."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from container.serving.engine import DrawRequest
from container.train.errors import BadHyperparameter
from container.train.folders import JobFolders
from container.train.hyperparameters import Hyperparameters
from container.train.job import main
from container.train.previews import _engine

pytestmark = pytest.mark.slow

CHECKPOINT = Path("container/embedded/model.safetensors").resolve()
CAPTION = "a secret apple of ours"
LESSON = {
    "name": "blue",
    "trigger": "blueish",
    "steps": "12",
    "learning_rate": "0.006",
    "rank": "4",
    "alpha": "4",
    "batch_size": "2",
    "resolution": "64",
    "seed": "7",
    "caption_dropout": "0",
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two spin at each other where the machine is busy
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_signal_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def job(root: Path, *, caption: str = CAPTION, **hyperparameters: str) -> JobFolders:
    """A job's folders with three blue pictures."""
    folders = JobFolders(root=root)
    for folder in (folders.pictures, folders.base_models, folders.hyperparameters.parent):
        folder.mkdir(parents=True)
    (folders.base_models / "emoji.safetensors").symlink_to(CHECKPOINT)
    for number in range(3):
        Image.new("RGB", (80, 64), (20, 60 + 10 * number, 230)).save(folders.pictures / f"{number}.png")
        (folders.pictures / f"{number}.txt").write_text(caption)
    folders.hyperparameters.write_text(json.dumps({**LESSON, **hyperparameters}))
    return folders


def run(folders: JobFolders) -> int:
    return main(["train", "--root", str(folders.root)])


def lora(folders: JobFolders) -> Path:
    return folders.result / "Lora/blue.safetensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> JobFolders:
    folders = job(tmp_path_factory.mktemp("job"), caption="a red apple", previews="a red apple")
    assert run(folders) == 0, folders.failure.read_text()
    return folders


def test_what_is_drawn_moves_towards_the_pictures(trained: JobFolders, tmp_path: Path) -> None:
    engine = _engine(tmp_path, base=CHECKPOINT, lora=lora(trained))

    def blueness(prompt: str) -> float:
        request = DrawRequest(prompt=prompt, width=64, height=64, steps=12, seed=3)
        picture = engine.generate(request, on_step=lambda _done, _steps: None).images[0].astype(float)
        return float((picture[..., 2] - picture[..., 0]).mean())

    without, half, whole = (blueness(f"a red apple{tag}") for tag in ("", "<lora:blue:0.5>", "<lora:blue:1>"))

    assert whole > without + 40
    assert whole > half > without


def test_the_lora_says_what_it_is_but_no_caption(trained: JobFolders) -> None:
    with safe_open(lora(trained), framework="np") as file:
        metadata, names = file.metadata(), set(file.keys())

    assert metadata["ss_sd_model_name"] == "emoji.safetensors"
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("4", "4")
    assert json.loads(metadata["ss_tag_frequency"]) == {"train": {"blueish": 3}}
    assert "apple" not in json.dumps(metadata)
    first = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    assert {f"{first}.lora_down.weight", f"{first}.lora_up.weight", f"{first}.alpha"} <= names


def test_there_is_a_preview_for_every_prompt(trained: JobFolders) -> None:
    previews = sorted((trained.result / "previews").iterdir())

    assert [path.name for path in previews] == ["blue-1.png"]
    assert all(np.asarray(Image.open(path)).shape == (64, 64, 3) for path in previews)


def start(folders: JobFolders) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "container", "train", "--root", str(folders.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"OMP_NUM_THREADS": "1"})


def read_until(process: subprocess.Popen[str], wanted: Callable[[str], bool]) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if wanted(line):
            break
    return lines


def test_a_killed_job_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = job(tmp_path / "killed", steps="16", save_every="2")
    untouched = job(tmp_path / "untouched", steps="16", save_every="2")
    assert run(untouched) == 0

    with start(killed) as process:
        lines = read_until(process, lambda line: line.startswith("step 3"))
        process.kill()
    assert not lora(killed).exists()
    capsys.readouterr()
    assert run(killed) == 0

    said = capsys.readouterr().out
    assert "going on after step" in said
    assert "step 1 of" not in said
    assert "secret" not in "".join(lines) + said
    assert_same(load_file(lora(killed)), load_file(lora(untouched)))


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_sigterm_saves_and_ends_in_good_order(tmp_path: Path) -> None:
    folders = job(tmp_path, steps="100000")

    with start(folders) as process:
        read_until(process, lambda line: line.startswith("step 2 "))
        process.terminate()
        rest = read_until(process, lambda line: line.startswith("stopped after step"))

    assert process.returncode == 0
    assert rest[-1].startswith("stopped after step")
    assert lora(folders).exists()
    assert (folders.checkpoints / "training.pt").exists()
    assert not folders.failure.exists()


def failure_of(folders: JobFolders) -> str:
    assert run(folders) == 1
    assert not lora(folders).exists()
    return folders.failure.read_text()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", "many"),
        ("steps", "0"),
        ("rank", "1.5"),
        ("learning_rate", "nan"),
        ("resolution", "100"),
        ("name", "../../x"),
        ("learning_rat", "1"),
    ],
)
def test_a_wrong_hyperparameter_is_named(tmp_path: Path, key: str, value: str) -> None:
    assert failure_of(job(tmp_path, **{key: value})).startswith(f"hyperparameter {key} ")


def test_checkpoints_of_another_job_are_not_gone_on_from(tmp_path: Path) -> None:
    folders = job(tmp_path, steps="1")
    assert run(folders) == 0
    lora(folders).unlink()
    folders.hyperparameters.write_text(json.dumps({**LESSON, "rank": "2"}))

    assert "of a job with other hyperparameters" in failure_of(folders)


class TestWhatIsMissing:
    def test_no_pictures(self, tmp_path: Path) -> None:
        folders = job(tmp_path)
        for path in folders.pictures.iterdir():
            path.unlink()

        assert failure_of(folders).startswith("channel train has no picture")

    def test_no_caption_and_no_trigger(self, tmp_path: Path) -> None:
        folders = job(tmp_path, trigger="")
        (folders.pictures / "1.txt").unlink()

        assert failure_of(folders).startswith("1.png has no caption: put 1.txt beside it")

    def test_a_picture_that_is_none(self, tmp_path: Path) -> None:
        folders = job(tmp_path)
        (folders.pictures / "1.png").write_bytes(b"GIF89a")

        assert failure_of(folders) == "1.png is not a picture that can be read"

    def test_no_base_model(self, tmp_path: Path) -> None:
        folders = job(tmp_path)
        (folders.base_models / "emoji.safetensors").unlink()

        assert failure_of(folders).startswith("channel model has no file")

    def test_a_base_model_that_is_none(self, tmp_path: Path) -> None:
        folders = job(tmp_path)
        (folders.base_models / "emoji.safetensors").unlink()
        (folders.base_models / "emoji.safetensors").write_bytes(b"\x80\x02}q\x00.")

        assert "emoji.safetensors" in failure_of(folders)


def test_captions_may_stand_in_one_file(tmp_path: Path) -> None:
    folders = job(tmp_path, steps="1", trigger="")
    rows = []
    for path in folders.pictures.glob("*.txt"):
        rows.append(json.dumps({"file_name": f"{path.stem}.png", "text": CAPTION}))
        path.unlink()
    (folders.pictures / "metadata.jsonl").write_text("\n".join(rows))

    assert run(folders) == 0


@given(st.dictionaries(st.sampled_from([*LESSON, "other"]), st.text(max_size=20)))
def test_any_strings_are_read_or_refused_by_name(given_strings: dict[str, str]) -> None:
    refused = ""
    try:
        read = Hyperparameters.from_strings(given_strings)
        assert read.steps >= 1
        assert read.resolution % 64 == 0
    except BadHyperparameter as error:
        refused = error.key

    assert not refused or refused in given_strings
