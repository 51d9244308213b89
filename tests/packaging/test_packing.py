"""pack: an archive that plain tar reads, the same bytes each time, and a tree without a second copy."""

import hashlib
import json
import os
import subprocess

import pytest

from model_packaging.errors import WrongPlace
from model_packaging.packing import (
    make_catalogue,
    pack_archive,
    pack_tree,
    read_folder,
    write_catalogue,
)
from tests.packaging.model_files import lora, model_folder


@pytest.mark.parametrize("small", [False, True])
def test_plain_tar_unpacks_it_and_its_catalogue_is_true(tmp_path, small):
    root = model_folder(tmp_path / "models", mebibytes=9)
    pack_archive(read_folder(root), tmp_path / "model.tar.gz", small=small)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xzf", tmp_path / "model.tar.gz", "-C", tmp_path / "out"], check=True)
    listed = json.loads((tmp_path / "out/catalogue.json").read_bytes())["files"]
    assert set(listed) == {"Stable-diffusion/base.safetensors", "Lora/ink.safetensors"}
    for path, facts in listed.items():
        body = (root / path).read_bytes()
        assert (tmp_path / "out" / path).read_bytes() == body
        assert facts["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("small", [False, True])
def test_the_same_files_give_the_same_bytes(tmp_path, small):
    bodies = set()
    for name in ("one", "two"):
        root = model_folder(tmp_path / name, mebibytes=5)
        os.utime(root / "Lora/ink.safetensors", (1, 1))
        pack_archive(read_folder(root), tmp_path / f"{name}.tar.gz", small=small)
        bodies.add((tmp_path / f"{name}.tar.gz").read_bytes())
    assert len(bodies) == 1


def test_a_tree_is_made_of_hard_links(tmp_path):
    root = model_folder(tmp_path / "models")
    pack_tree(read_folder(root), tmp_path / "tree")
    assert (tmp_path / "tree/Lora/ink.safetensors").samefile(root / "Lora/ink.safetensors")
    assert (tmp_path / "tree/catalogue.json").is_file()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_are_refused_not_followed(tmp_path, what):
    root = model_folder(tmp_path / "models")
    if what == "file":
        (root / "Lora/link.safetensors").symlink_to(lora(tmp_path / "outside.safetensors"))
    else:
        (root / "VAE").symlink_to(tmp_path)
    with pytest.raises(WrongPlace, match="not followed"):
        read_folder(root)


def test_known_hashes_hold_until_the_file_changes(tmp_path):
    root = model_folder(tmp_path / "models")
    first = make_catalogue(read_folder(root))
    assert write_catalogue(root, first)
    os.utime(root / "catalogue.json", (4_000_000_000, 4_000_000_000))
    assert set(read_folder(root).known) == set(first.files)
    assert make_catalogue(read_folder(root)) == first
    os.utime(root / "Lora/ink.safetensors", (4_000_000_001, 4_000_000_001))
    assert set(read_folder(root).known) == {"Stable-diffusion/base.safetensors"}
    assert not read_folder(root, rehash=True).known


def test_a_failed_archive_leaves_nothing(tmp_path):
    root = model_folder(tmp_path / "models")
    folder = read_folder(root)
    (root / "Lora/ink.safetensors").unlink()
    with pytest.raises(Exception, match="cannot be read"):
        pack_archive(folder, tmp_path / "model.tar.gz")
    assert [place.name for place in tmp_path.iterdir()] == ["models"]
