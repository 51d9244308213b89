"""Folders, archives and keys that would fail on the endpoint are told with the fix."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from model_packaging.errors import WrongPlace
from model_packaging.layout import FOLDERS, NOTE, make_folders
from model_packaging.verification import (
    Limits,
    Report,
    verify_archive,
    verify_file,
    verify_folder,
    verify_keys,
)
from tests.packaging.sparse_models import LORA_XL, SD1, SD1_UNET, SDXL, under, write

torch = pytest.importorskip("torch")


def folder(root: Path) -> Path:
    write(root / "Stable-diffusion/base.safetensors", SDXL)
    write(root / "Lora/ink.safetensors", LORA_XL)
    return root


def found(report: Report) -> set[tuple[str, str, str]]:
    return {(str(finding.severity), finding.path, finding.code) for finding in report.findings}


def test_a_good_folder_has_nothing_against_it(tmp_path: Path):
    report = verify_folder(folder(tmp_path))

    assert report.ok
    assert report.findings == ()
    assert report.files == 2


@pytest.mark.parametrize("every_kind", [False, True])
def test_what_init_makes_is_accepted_as_soon_as_a_model_is_in_it(every_kind: bool, tmp_path: Path):
    made = make_folders(tmp_path, every_kind=every_kind)
    write(tmp_path / "Stable-diffusion/base.safetensors", SD1)

    assert len(made) == (6 if every_kind else 3)
    assert all((place / NOTE).read_text().count(place.name) for place in made)
    assert verify_folder(tmp_path).findings == ()


def test_init_keeps_what_is_there(tmp_path: Path):
    make_folders(tmp_path)
    (tmp_path / "Lora" / NOTE).write_text("ours")

    assert make_folders(tmp_path) == []
    assert (tmp_path / "Lora" / NOTE).read_text() == "ours"


def test_init_says_what_is_in_the_way(tmp_path: Path):
    (tmp_path / "Lora").write_text("a file")

    with pytest.raises(WrongPlace, match="Lora"):
        make_folders(tmp_path)


def test_lora_and_controlnet_may_be_absent(tmp_path: Path):
    write(tmp_path / "Stable-diffusion/base.safetensors", SD1)

    assert verify_folder(tmp_path).ok


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lora", "Lora"),
        ("LORA", "Lora"),
        ("Loras", "Lora"),
        ("stable-diffusion", "Stable-diffusion"),
        ("Stable-Diffusion", "Stable-diffusion"),
        ("StableDiffusion", "Stable-diffusion"),
        ("checkpoints", "Stable-diffusion"),
        ("controlnet", "ControlNet"),
        ("control_net", "ControlNet"),
        ("vae", "VAE"),
        ("Embeddings", "embeddings"),
        ("esrgan", "ESRGAN"),
    ],
)
def test_the_name_of_a_folder_counts_letter_by_letter(written: str, meant: str, tmp_path: Path):
    write(tmp_path / written / "x.safetensors", LORA_XL)

    [finding] = [told for told in verify_folder(tmp_path).findings if told.code == "folder-name"]

    assert finding.path == written
    assert finding.fix == f"mv {written} {meant}"
    assert f'"{meant}"' in finding.what


def test_a_folder_is_not_moved_into_the_one_of_the_right_name(tmp_path: Path):
    (folder(tmp_path) / "controlnet").mkdir()
    (tmp_path / "ControlNet").mkdir(exist_ok=True)

    [finding] = [told for told in verify_folder(tmp_path).findings if told.code == "folder-name"]

    assert finding.fix == "move what it holds to ControlNet/"


def test_an_empty_folder_with_a_wrong_name_is_told_too(tmp_path: Path):
    (folder(tmp_path) / "controlnet").mkdir()

    assert ("error", "controlnet", "folder-name") in found(verify_folder(tmp_path))


PLACES = {
    "a model beside the folders": ("x.safetensors", ("error", "x.safetensors", "outside-folders")),
    "a folder no server reads": ("models/x.safetensors", ("error", "models", "unknown-folder")),
    "one level too deep": ("model/Lora/x.safetensors", ("error", "model", "too-deep")),
    "a suffix in capitals": ("Lora/x.SafeTensors", ("error", "Lora/x.SafeTensors", "suffix-case")),
    "a file of another kind": ("Lora/readme.md", ("warning", "Lora/readme.md", "foreign-file")),
    "a stray file": ("notes.txt", ("note", "notes.txt", "foreign-file")),
    "another folder": ("pictures/a.png", ("note", "pictures", "foreign-folder")),
}


@pytest.mark.parametrize("name", PLACES)
def test_files_where_no_server_looks(name: str, tmp_path: Path):
    path, finding = PLACES[name]
    write(folder(tmp_path) / path, LORA_XL)

    assert finding in found(verify_folder(tmp_path))


def test_hidden_files_are_nobodys_business(tmp_path: Path):
    write(folder(tmp_path) / "Lora/.hidden.safetensors", LORA_XL)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("x")
    (tmp_path / ".DS_Store").write_text("x")

    assert verify_folder(tmp_path).findings == ()


def test_a_kind_in_the_wrong_folder_is_told_with_the_right_one(tmp_path: Path):
    write(folder(tmp_path) / "Stable-diffusion/style.safetensors", LORA_XL)

    [finding] = verify_folder(tmp_path).findings

    assert (finding.code, finding.fix) == ("wrong-folder", "mv it to Lora/")


def test_two_files_of_one_name_are_told(tmp_path: Path):
    write(folder(tmp_path) / "Lora/sub/INK.safetensors", LORA_XL)

    assert ("error", "Lora/sub/INK.safetensors", "duplicate-name") in found(verify_folder(tmp_path)) or (
        "error",
        "Lora/ink.safetensors",
        "duplicate-name",
    ) in found(verify_folder(tmp_path))


@pytest.mark.parametrize("path", ["Lora/link.safetensors", "ControlNet", "link"])
def test_links_are_told_and_never_followed(path: str, tmp_path: Path):
    outside = write(tmp_path / "outside/x.safetensors", LORA_XL)
    root = folder(tmp_path / "root")
    (root / path).symlink_to(outside)

    assert ("error", path, "symlink") in found(verify_folder(root))


def test_a_pipe_is_told_and_not_waited_for(tmp_path: Path):
    os.mkfifo(folder(tmp_path) / "Lora/pipe.safetensors")

    assert ("error", "Lora/pipe.safetensors", "device") in found(verify_folder(tmp_path))


def test_names_another_machine_cannot_write_are_told(tmp_path: Path):
    place = Path(os.fsdecode(os.fsencode(folder(tmp_path) / "Lora") + b"/\xff.safetensors"))
    place.write_bytes((tmp_path / "Lora/ink.safetensors").read_bytes())

    assert "not-utf8" in {finding.code for finding in verify_folder(tmp_path).findings}


def test_no_checkpoint_is_told_unless_the_set_is_elsewhere(tmp_path: Path):
    write(tmp_path / "Lora/ink.safetensors", LORA_XL)

    assert ("error", "", "no-checkpoint") in found(verify_folder(tmp_path))
    assert verify_file(tmp_path / "Lora/ink.safetensors", "Lora/ink.safetensors").ok


def test_one_file_is_judged_by_the_name_it_will_have(tmp_path: Path):
    place = write(tmp_path / "fetched.partial", LORA_XL)

    assert verify_file(place, "Lora/ink.safetensors").findings == ()
    assert ("error", "VAE/ink.safetensors", "wrong-folder") in found(
        verify_file(place, "VAE/ink.safetensors")
    )


@pytest.mark.parametrize(
    ("path", "shapes"),
    [
        ("Lora/ink.safetensors", LORA_XL),
        ("embeddings/x.safetensors", {"clip_l": (1, 768), "clip_g": (1, 1280)}),
    ],
)
def test_what_builds_on_a_base_that_is_not_there_is_told(path: str, shapes: dict, tmp_path: Path):
    write(tmp_path / "Stable-diffusion/base.safetensors", SD1)
    write(tmp_path / path, shapes)

    report = verify_folder(tmp_path)

    assert report.ok
    assert ("warning", path, "no-base") in found(report)


def test_a_controlnet_for_the_base_that_is_there_is_fine(tmp_path: Path):
    write(tmp_path / "Stable-diffusion/base.safetensors", SD1)
    write(tmp_path / "ControlNet/canny.safetensors", under("control_model.", SD1_UNET))

    assert verify_folder(tmp_path).findings == ()


def test_a_model_set_that_is_too_large_is_told(tmp_path: Path):
    report = verify_folder(folder(tmp_path), limits=Limits(instance_disk=1000, download_timeout=60))

    assert ("error", "", "disk") in found(report)


def test_a_model_set_that_takes_too_long_is_told(tmp_path: Path):
    limits = Limits(download_timeout=60, download_rate=100)

    [finding] = verify_folder(folder(tmp_path), limits=limits).findings

    assert finding.code == "download-timeout"
    assert "gives up after 60 s" in finding.what


def test_a_cut_download_is_told(tmp_path: Path):
    place = folder(tmp_path) / "Stable-diffusion/base.safetensors"
    os.truncate(place, place.stat().st_size - 10)

    [finding] = [told for told in verify_folder(tmp_path).findings if told.severity == "error"]

    assert (finding.path, finding.code) == ("Stable-diffusion/base.safetensors", "truncated")
    assert "download it again" in finding.what


def test_an_honest_pickle_is_a_warning_with_the_line_that_converts_it(tmp_path: Path):
    place = tmp_path / "Stable-diffusion/old model.ckpt"
    place.parent.mkdir()
    torch.save({"state_dict": {name: torch.zeros(shape) for name, shape in LORA_XL.items()}}, place)

    [finding] = [told for told in verify_folder(tmp_path).findings if told.code == "pickle"]

    assert finding.severity == "warning"
    assert "picklescan finds nothing dangerous" in finding.what
    assert finding.fix == "imagine models convert 'Stable-diffusion/old model.ckpt', then delete it"


def test_no_folder_at_all_is_said(tmp_path: Path):
    with pytest.raises(WrongPlace, match="no folder"):
        verify_folder(tmp_path / "absent")
    with pytest.raises(WrongPlace, match=r"model\.tar\.gz"):
        verify_archive(tmp_path / "absent.tar.gz")


# archives


@pytest.mark.parametrize(
    "line", ["tar zcf {} ControlNet/ Lora/ Stable-diffusion/", "tar zcf {} .", "tar zcf {} *"]
)
def test_the_seeds_hand_made_archive_is_accepted(line: str, tmp_path: Path):
    root = folder(tmp_path / "root")
    make_folders(root)
    archive = tmp_path / "model.tar.gz"
    subprocess.run(line.format(archive), shell=True, cwd=root, check=True)

    report = verify_archive(archive)

    assert report.ok
    assert report.findings == ()
    assert report.files == 2
    assert [place.name for place in tmp_path.iterdir()].count("model.tar.gz") == 1


def test_an_archive_is_judged_like_the_folder_it_was_made_of(tmp_path: Path):
    root = folder(tmp_path / "root")
    write(root / "lora/x.safetensors", LORA_XL)
    write(root / "Stable-diffusion/style.safetensors", LORA_XL)
    torch.save({"w": torch.ones(3)}, root / "Stable-diffusion/old.ckpt")
    (root / "ControlNet").symlink_to(tmp_path)
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        for path in sorted(root.rglob("*")):
            made.add(path, path.relative_to(root), recursive=False)

    assert found(verify_archive(archive)) == found(verify_folder(root))


def test_an_archive_and_its_content_must_fit_the_disk_together(tmp_path: Path):
    root = folder(tmp_path / "root")
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        made.add(root, ".")
    size = verify_folder(root).size

    assert verify_archive(archive, limits=Limits(instance_disk=size + archive.stat().st_size)).ok
    assert not verify_archive(archive, limits=Limits(instance_disk=size + 100)).ok


# keys in S3


GOOD_KEYS = [("Stable-diffusion/base.safetensors", 7), ("catalogue.json", 2), ("Lora/ink.safetensors", 3)]
KEYS = {
    "a console's folder": (("Lora/", 0), "folder-object"),
    "the prefix itself as a folder": (("", 0), "folder-object"),
    "a key that ends in a slash": (("Lora/x/", 5), "folder-object"),
    "an empty part": (("Lora//x.safetensors", 5), "empty-part"),
    "a dot": (("Lora/./x.safetensors", 5), "empty-part"),
    "two dots": (("../x.safetensors", 5), "traversal"),
    "a NUL": (("Lora/a\0.safetensors", 5), "control-character"),
    "256 bytes": ((f"Lora/{'a' * 256}", 5), "long-name"),
    "a file and a folder": (("Lora", 5), "file-and-folder"),
    "case": (("Lora/INK.safetensors", 5), "case-collision"),
    "a leading slash": (("/Lora/x.safetensors", 5), "absolute-path"),
    "a folder's case": (("lora/x.safetensors", 5), "folder-name"),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_sagemaker_cannot_place_are_told(name: str):
    key, code = KEYS[name]

    told = {(str(finding.severity), finding.code) for finding in verify_keys([*GOOD_KEYS, key])}

    assert ("error", code) in told


def test_good_keys_have_nothing_against_them():
    assert verify_keys(GOOD_KEYS) == ()


def test_every_kind_of_folder_has_one_name():
    assert len({folder.kind for folder in FOLDERS}) == len(FOLDERS) == 6
