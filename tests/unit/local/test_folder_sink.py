"""The files a drawing leaves in a folder."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from bot.domain.errors import Rejected, Unavailable
from bot.domain.job import Address, Outcome, SinkKind
from bot.local.folder_sink import FOLDER, STEM, FolderSink
from tests.contracts.rows import NOW, a_job, a_result, after
from tests.contracts.test_sink import PICTURES, delivered, folder_stand, prepared, stage


def test_the_sidecar_tells_enough_to_draw_the_same_again(tmp_path: Path):
    stand = folder_stand(tmp_path)
    job = after(delivered(stand), done_at=NOW)
    FolderSink().finish(stage(job))
    told = json.loads((tmp_path / "red-fox-aaaa.json").read_bytes())
    assert told["job"] == job.id
    assert told["prompt"] == job.request.prompt
    assert told["model"] == "demo"
    assert told["request"]["sampler"] == "Euler a"
    assert told["request"]["steps"] == 20
    assert [(picture["file"], picture["seed"]) for picture in told["pictures"]] == [
        ("red-fox-aaaa-1.png", 8),
        ("red-fox-aaaa-2.png", 9),
    ]
    assert told["unknown_words"] == ["fox"]


def test_before_the_end_the_sidecar_has_no_outcome_and_afterwards_no_draft_is_left(tmp_path: Path):
    stand = folder_stand(tmp_path)
    job = prepared(stand)
    assert json.loads((tmp_path / "red-fox-aaaa.json").read_bytes())["outcome"] is None
    job = after(job, deliver_intent_at=NOW)
    stand.sink.deliver(job)
    stand.sink.finish(stage(job))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "red-fox-aaaa-1.png",
        "red-fox-aaaa-2.png",
        "red-fox-aaaa.json",
    ]


def test_a_sidecar_is_readable_whatever_the_prompt(tmp_path: Path):
    stand = folder_stand(tmp_path)
    job = a_job(sink=stand.address)
    job = dataclasses.replace(job, request=dataclasses.replace(job.request, prompt='half \ud83e, "fox" 狐'))
    stand.sink.announce(stage(job))
    text = (tmp_path / "red-fox-aaaa.json").read_text(encoding="utf-8")
    assert json.loads(text)["prompt"] == job.request.prompt
    assert "狐" in text


def test_removing_takes_files_drafts_and_sidecar_and_nothing_else(tmp_path: Path):
    stand = folder_stand(tmp_path)
    job = prepared(stand)
    (tmp_path / "mine.png").write_bytes(b"mine")
    stand.sink.remove(job)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_a_delivery_cut_off_in_the_middle_is_seen_and_completed(tmp_path: Path):
    stand = folder_stand(tmp_path)
    job = after(prepared(stand), deliver_intent_at=NOW)
    (tmp_path / ".red-fox-aaaa-1.png.unfinished").rename(tmp_path / "red-fox-aaaa-1.png")
    assert not stand.sink.delivered(job)
    stand.sink.deliver(job)
    assert stand.pictures(job) == PICTURES


def test_pictures_that_somebody_took_away_before_delivery_are_told(tmp_path: Path):
    stand = folder_stand(tmp_path)
    job = prepared(stand)
    (tmp_path / ".red-fox-aaaa-2.png.unfinished").unlink()
    with pytest.raises(Rejected, match="picture_missing"):
        stand.sink.deliver(job)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "out").write_bytes(b"")
    job = a_job(sink=Address(kind=SinkKind.FOLDER, parts={FOLDER: str(tmp_path / "out"), STEM: "fox"}))
    with pytest.raises(Rejected, match="EEXIST"):
        FolderSink().announce(stage(job))


def test_a_full_disk_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stand = folder_stand(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    job = a_job(sink=stand.address, result=a_result(Outcome.OK))
    with pytest.raises(Unavailable, match="ENOSPC"):
        stand.sink.prepare(job, PICTURES)


@pytest.mark.parametrize("stem", ["", ".", "..", ".hidden", "../fox", "a/b", "/fox"])
def test_a_stem_that_leaves_the_folder_is_refused(tmp_path: Path, stem: str):
    job = a_job(sink=Address(kind=SinkKind.FOLDER, parts={FOLDER: str(tmp_path), STEM: stem}))
    with pytest.raises(Rejected, match="bad_file_name"):
        FolderSink().announce(stage(job))
    assert list(tmp_path.iterdir()) == []
