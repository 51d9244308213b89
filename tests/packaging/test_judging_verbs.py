"""`imagine models init, inspect, verify, convert` as typed: what they print and their exit status."""

import json
import os
from pathlib import Path

import pytest

from infra.cli import main
from tests.aws.cloud import Cloud
from tests.packaging.commands import Account, typed
from tests.packaging.hostile_pickles import SHAPES, as_zip
from tests.packaging.sparse_models import LORA_XL, SD1, SDXL, write

torch = pytest.importorskip("torch")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "Stable-diffusion/base.safetensors", SDXL)
    write(tmp_path / "Lora/ink.safetensors", LORA_XL, metadata={"modelspec.trigger_phrase": "inkstyle"})
    return tmp_path


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    place = tmp_path / "Stable-diffusion/bad.ckpt"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(as_zip(SHAPES["protocol 2"]("posix", "system", "touch marker")))
    return place


def test_init_makes_the_seeds_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "init", str(tmp_path / "models")]) == 0

    assert {place.name for place in (tmp_path / "models").iterdir()} == {
        "Stable-diffusion",
        "Lora",
        "ControlNet",
    }
    assert "imagine models verify" in capsys.readouterr().out


def test_init_tells_programs_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["models", "init", str(tmp_path / "models"), "--all", "--json"])

    assert len(json.loads(capsys.readouterr().out)["made"]) == 6


def test_inspect_tells_people_about_a_file(root: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "inspect", str(root / "Lora/ink.safetensors"), "--hashes"]) == 0

    told = capsys.readouterr().out
    for words in ("LoRA", "SDXL", "fp16", "inkstyle", "not stated", "AutoV2", "AutoV3", "sha256"):
        assert words in told


def test_inspect_shows_a_folder_as_a_table(root: Path, hostile: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "inspect", str(root)]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["kind", "architecture", "precision", "parameters", "size", "file"]
    assert [line.split()[0] for line in lines[1:]] == ["LoRA", "refused", "checkpoint"]
    assert "posix.system" in lines[2]


def test_inspect_tells_programs_everything(root: Path, hostile: Path, capsys: pytest.CaptureFixture[str]):
    main(["models", "inspect", str(root), "--json"])

    lora, bad, base = json.loads(capsys.readouterr().out)["files"]
    assert (lora["kind"], lora["architecture"], lora["hashes"]) == ("lora", "sdxl", None)
    assert lora["trigger_words"] == [{"word": "inkstyle", "count": 0}]
    assert (bad["outcome"], bad["reason"], bad["culprit"]) == ("refused", "global", "posix.system")
    assert base["prediction"] == "epsilon"


@pytest.mark.parametrize("name", ["absent.safetensors", "Lora"])
def test_inspect_says_when_there_is_nothing_to_look_at(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "Lora").mkdir()

    assert main(["models", "inspect", str(tmp_path / name)]) == 1
    assert "imagine models inspect:" in capsys.readouterr().err


def test_inspect_and_convert_wait_for_no_pipe(root: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("pipe.safetensors", "pipe.ckpt"):
        os.mkfifo(root / "Lora" / name)

    told = typed(capsys, "models", "inspect", root)
    assert told.status == 1
    assert "pipe.ckpt is no plain file" in told.out
    assert "SDXL" in told.out
    assert "is no plain file" in typed(capsys, "models", "convert", root / "Lora/pipe.ckpt").err


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "the file is empty; download it again"), (b"h\x05.", "it recalls what it never stored")],
)
def test_a_pickle_that_is_none_is_told_plainly(
    content: bytes, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    place = tmp_path / "old.pt"
    place.write_bytes(content)

    assert what in typed(capsys, "models", "inspect", place).err


def test_verify_of_one_model_file_says_what_to_name(root: Path, capsys: pytest.CaptureFixture[str]):
    told = typed(capsys, "models", "verify", root / "Lora/ink.safetensors")

    assert told.status == 1
    assert "is one model file; imagine models inspect it, or verify the folder" in told.err
    assert "name a folder of models or a model.tar.gz" in typed(capsys, "models", "verify", root / "x").err


def test_verify_ends_well_for_a_good_folder(root: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "verify", str(root)]) == 0
    assert "it can be published" in capsys.readouterr().out


def test_verify_tells_the_fix_and_fails(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "Lora").rename(root / "lora")

    assert main(["models", "verify", str(root)]) == 1
    assert "fix: mv lora Lora" in capsys.readouterr().out


def test_verify_tells_programs_each_finding(root: Path, hostile: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "verify", str(root), "--json"]) == 1

    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == "bad"
    assert [finding["code"] for finding in told["findings"]] == ["global"]


def test_verify_finds_empty_objects_in_a_bucket(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    cloud = Cloud()
    with cloud.gateway() as url:
        account = Account(cloud=cloud, url=url, bucket=cloud.make_bucket())
        for key in ("models/Stable-diffusion/base.safetensors", "models/Lora/"):
            cloud.clients["s3"].put_object(Bucket=account.bucket, Key=key, Body=b"")

        told = typed(capsys, "models", "verify", account.place, *account.where[2:], "--json")

    assert told.status == 1
    assert {(finding["path"], finding["code"]) for finding in told.json["findings"]} == {
        ("Lora/", "folder-object"),
        ("Stable-diffusion/base.safetensors", "truncated"),
    }


def test_strict_makes_warnings_failures(root: Path):
    write(root / "Stable-diffusion/base.safetensors", SD1)

    assert main(["models", "verify", str(root)]) == 0
    assert main(["models", "verify", str(root), "--strict"]) == 1


def test_verify_counts_against_the_disk_it_is_told(root: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "verify", str(root), "--disk", "0.001"]) == 1
    assert "do not fit" in capsys.readouterr().out


def test_convert_writes_safetensors_beside_it(root: Path, capsys: pytest.CaptureFixture[str]):
    source = root / "Lora/old.pt"
    torch.save({"state_dict": {"w": torch.ones(4)}, "step": 1}, source)

    assert main(["models", "convert", str(source), "--half", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["tensors"], told["left_out"]) == ("converted", 1, ["step"])
    assert Path(told["out"]).exists()


def test_convert_refuses_what_verify_refuses(hostile: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", "convert", str(hostile)]) == 1

    assert "posix.system, at byte 2" in capsys.readouterr().err
    assert [place.name for place in hostile.parent.iterdir()] == ["bad.ckpt"]
