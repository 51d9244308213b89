"""What only objects in a folder can get wrong: half files, left-overs, the disk."""

import os
from pathlib import Path

import pytest

from bot.domain.errors import Rejected, Unavailable
from bot.local.folder_objects import ABANDONED_AFTER, UNFINISHED, FolderObjects


def test_a_body_that_cannot_be_written_whole_leaves_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    objects = FolderObjects(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as failure:
        objects.put("a.out", b"body")
    assert failure.value.code == "ENOSPC"
    assert objects.get("a.out") is None
    assert objects.list("") == ()


def test_no_left_overs_beside_the_objects(tmp_path: Path):
    objects = FolderObjects(tmp_path)
    objects.put("out/a.out", b"body")
    objects.put("out/a.out", b"body")
    with pytest.raises(Rejected):
        objects.put("out/a.out", b"other")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.out"]


def test_what_a_killed_process_left_unfinished_is_dropped_after_a_while(tmp_path: Path):
    FolderObjects(tmp_path)
    old, young = tmp_path / UNFINISHED / "old", tmp_path / UNFINISHED / "young"
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (0, old.stat().st_mtime - ABANDONED_AFTER - 60))
    objects = FolderObjects(tmp_path)
    assert [path.name for path in (tmp_path / UNFINISHED).iterdir()] == ["young"]
    assert objects.list("") == ()


def test_a_key_below_another_object_is_refused_in_words(tmp_path: Path):
    objects = FolderObjects(tmp_path)
    objects.put("out/a", b"body")
    with pytest.raises(Rejected) as refusal:
        objects.put("out/a/b", b"body")
    assert refusal.value.code == "key_below_an_object"


def test_objects_are_there_after_a_restart(tmp_path: Path):
    FolderObjects(tmp_path).put("out/a.out", b"body")
    assert FolderObjects(tmp_path).get("out/a.out") == b"body"
