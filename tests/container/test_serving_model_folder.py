"""The model folder in the seed project's layout."""

import json

import pytest

from container.serving.model_folder import ModelFolder, read_model_folder
from container.serving.settings import Settings

SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def folder(tmp_path):
    for name in (
        "Stable-diffusion/rpg.safetensors",
        "Stable-diffusion/anime/line.ckpt",
        "Stable-diffusion/Put Stable Diffusion checkpoints here.txt",
        "Stable-diffusion/._rpg.safetensors",
        "VAE/new.pt",
        "Vae/old.pt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "Lora").mkdir()
    return tmp_path


def names(read, kind):
    return [model.name for model in read.files[kind]]


def test_model_files_are_listed_by_kind_and_nothing_else_is(folder):
    read = read_model_folder(folder)
    assert names(read, "checkpoints") == ["anime/line.ckpt", "rpg.safetensors"]
    assert names(read, "vaes") == ["new.pt", "old.pt"]


def test_absent_and_empty_folders_are_empty_kinds(folder):
    read = read_model_folder(folder)
    assert all(names(read, kind) == [] for kind in ("loras", "controlnets", "embeddings", "upscalers"))
    assert read.problem == ""


def test_reading_changes_nothing_in_a_folder_that_cannot_be_written(folder):
    before = sorted(folder.rglob("*"))
    folder.chmod(0o555)
    try:
        read_model_folder(folder)
    finally:
        folder.chmod(0o755)
    assert sorted(folder.rglob("*")) == before


def test_hashes_come_from_the_catalogue_file_and_are_unknown_without(folder):
    line, rpg = read_model_folder(folder).files["checkpoints"]
    assert (rpg.hash, rpg.sha256) == ("", "")
    facts = {"Stable-diffusion/rpg.safetensors": {"sha256": SHA256, "licence": "x"}}
    (folder / "catalogue.json").write_text(json.dumps({"files": facts}))
    line, rpg = read_model_folder(folder).files["checkpoints"]
    assert (rpg.hash, rpg.sha256) == (SHA256[:10], SHA256)
    assert line.sha256 == ""


@pytest.mark.parametrize("content", ["", "[]", "{", '{"files": 3}', '{"models": {}}', "[" * 100_000])
def test_a_broken_catalogue_file_is_told_and_the_models_still_listed(folder, content):
    (folder / "catalogue.json").write_text(content)
    read = read_model_folder(folder)
    assert "hashes are unknown" in read.problem
    assert len(read.files["checkpoints"]) == 2


@pytest.mark.parametrize(
    "facts", [None, "x", {}, {"sha256": 7}, {"sha256": "../x"}, {"sha256": SHA256.upper()}]
)
def test_what_is_no_digest_is_no_hash(folder, facts):
    (folder / "catalogue.json").write_text(json.dumps({"files": {"Stable-diffusion/rpg.safetensors": facts}}))
    assert {model.sha256 for model in read_model_folder(folder).files["checkpoints"]} == {""}


@pytest.mark.parametrize(
    ("ckpt", "chosen"),
    [
        ("/opt/ml/model/Stable-diffusion/rpg.safetensors", "rpg.safetensors"),
        ("/opt/ml/model/Stable-diffusion/anime/line.ckpt", "anime/line.ckpt"),
        ("rpg.safetensors", "rpg.safetensors"),
        (None, None),
    ],
)
def test_the_seeds_ckpt_names_the_default_checkpoint(folder, ckpt, chosen):
    read = read_model_folder(folder, default=ckpt)
    assert (read.default, read.problem) == (chosen, "")


@pytest.mark.parametrize("ckpt", ["/opt/ml/model/Stable-diffusion/gone.ckpt", "line.ckpt", "/etc/passwd"])
def test_a_ckpt_that_is_not_there_is_told(folder, ckpt):
    read = read_model_folder(folder, default=ckpt)
    assert read.default is None
    assert read.problem == f"ckpt names {ckpt}, which is not there"


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_model_folder(tmp_path / "gone")


def test_a_listed_name_leads_to_its_file_and_no_other_name_to_any(folder):
    read = read_model_folder(folder)
    assert read.file("checkpoints", "anime/line.ckpt").path == folder / "Stable-diffusion/anime/line.ckpt"
    assert read.file("vaes", "old.pt").path == folder / "Vae/old.pt"
    for name in ("line.ckpt", "../VAE/new.pt", str(folder / "VAE/new.pt"), "", "."):
        assert read.file("checkpoints", name) is None


def test_of_one_name_in_both_vae_folders_the_newer_layouts_file_is_meant(folder):
    (folder / "Vae/new.pt").touch()
    read = read_model_folder(folder)
    assert names(read, "vaes") == ["new.pt", "old.pt"]
    assert read.file("vaes", "new.pt").path == folder / "VAE/new.pt"


@pytest.mark.parametrize(("verdict", "read_as"), [("safe", "safe"), (None, ""), (7, ""), (["safe"], "")])
def test_a_verdict_comes_from_the_catalogue_file(folder, verdict, read_as):
    facts = {"Stable-diffusion/anime/line.ckpt": {"sha256": SHA256, "verdict": verdict}}
    (folder / "catalogue.json").write_text(json.dumps({"files": facts}))
    file = read_model_folder(folder).file("checkpoints", "anime/line.ckpt")
    assert (file.verdict, file.model.sha256) == (read_as, SHA256)


@pytest.mark.parametrize(("environment", "allowed"), [({}, False), ({"ALLOW_PICKLE": "1"}, True)])
def test_pickles_nobody_vouches_for_are_allowed_by_setting_only(folder, environment, allowed):
    settings = Settings.from_environment(host="127.0.0.1", environment=environment)
    assert read_model_folder(folder, allow_pickle=settings.allow_pickle).allow_pickle is allowed


def test_one_checkpoint_can_stand_for_a_folder(folder):
    alone = ModelFolder.of_checkpoint(folder / "Stable-diffusion/rpg.safetensors")
    assert (names(alone, "checkpoints"), alone.default) == (["rpg.safetensors"], "rpg.safetensors")
    assert names(alone, "loras") == []
