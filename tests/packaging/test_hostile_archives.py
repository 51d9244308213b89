"""Archives that would write elsewhere, or fill the disk, are refused by name; reading them writes nothing."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_packaging.archives import Archive
from model_packaging.verification import verify_archive
from tests.packaging.hostile_archives import (
    BASE,
    CHECKPOINT,
    HostileArchive,
    as_tarfile_sees,
    hostile_archives,
    member,
    packed,
)

CASES = {case.name: case for case in hostile_archives()}


def test_there_are_enough_of_them():
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_hostile_archives_are_refused_by_name(
    case: HostileArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    inside = tmp_path / "a/b/c"
    inside.mkdir(parents=True)
    archive = inside / "model.tar.gz"
    archive.write_bytes(case.content)
    monkeypatch.chdir(inside)

    report = verify_archive(archive)

    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert {finding.code for finding in errors} & set(case.codes), errors
    assert all(finding.what.isprintable() and finding.path.isprintable() for finding in errors)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [archive]


def test_the_archive_without_anything_hostile_is_accepted(tmp_path: Path):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(packed())

    assert verify_archive(archive).ok


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=120
)


@given(
    files=st.dictionaries(
        names.filter(lambda name: name not in {".", ".."}), st.binary(max_size=2000), max_size=8
    ),
    layout=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_honest_archives_are_read_as_tarfile_reads_them(files: dict[str, bytes], layout: int):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=layout, compresslevel=1) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"Lora/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

    ours = Archive(io.BytesIO(made.getvalue()))
    seen = [(found.name, found.size, ours.read()) for found in ours.members()]

    assert [(name, size) for name, size, _ in seen] == as_tarfile_sees(made.getvalue())
    assert [content for _, _, content in seen] == list(files.values())


def test_members_are_read_piece_by_piece_or_not_at_all():
    content = packed(member(b"Lora/a", b"a" * 1000), member(b"Lora/b", b"b" * 700))
    archive = Archive(io.BytesIO(content))
    pieces = []

    for found in archive.members():
        if found.name == "Lora/a":
            pieces = [archive.read(600), archive.read(600), archive.read(600)]
        if found.name == "Lora/b":
            rest = archive.read()

    assert [len(piece) for piece in pieces] == [600, 400, 0]
    assert rest == b"b" * 700
    assert as_tarfile_sees(content)[0] == (BASE, len(CHECKPOINT))
