"""What `inspect` tells of a file, and the digests people know it by."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_packaging.errors import Unreadable
from model_packaging.hashes import hash_file
from model_packaging.inspection import inspect_file
from model_packaging.kinds import Architecture, Format, Kind
from model_packaging.metadata import facts_of
from tests.packaging.model_files import lora
from tests.packaging.sparse_models import LORA_XL, SD1, write

torch = pytest.importorskip("torch")

KOHYA = {
    "ss_output_name": "ink",
    "ss_sd_model_name": "sd_xl_base_1.0.safetensors",
    "ss_tag_frequency": json.dumps(
        {"10_ink": {"ink wash": 30, "1girl": 12}, "5_reg": {"1girl": 40, "tree": 1}}
    ),
    "modelspec.author": "somebody",
    "modelspec.license": "CreativeML-OpenRAIL-M",
    "modelspec.trigger_phrase": "inkstyle, ink wash",
}


def test_a_lora_tells_its_trigger_words_licence_and_base(tmp_path: Path):
    seen = inspect_file(write(tmp_path / "ink.safetensors", LORA_XL, metadata=KOHYA))

    assert (seen.kind, seen.architecture, seen.precision) == (Kind.LORA, Architecture.SDXL, "fp16")
    assert [(trigger.word, trigger.count) for trigger in seen.trigger_words] == [
        ("inkstyle", 0),
        ("ink wash", 30),
        ("1girl", 52),
        ("tree", 1),
    ]
    assert (seen.title, seen.author, seen.licence) == ("ink", "somebody", "CreativeML-OpenRAIL-M")
    assert seen.base_model == "sd_xl_base_1.0.safetensors"


def test_a_checkpoint_of_gigabytes_is_told_from_its_header(tmp_path: Path):
    shapes = SD1 | {"model.diffusion_model.filler": (860_000_000,)}

    seen = inspect_file(write(tmp_path / "base.safetensors", shapes))

    assert seen.size > 1_700_000_000
    assert seen.parameters > 860_000_000
    assert seen.architecture is Architecture.SD1


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_checkpoint_is_told_like_the_same_in_safetensors(legacy: bool, tmp_path: Path):
    numbers = {name: torch.zeros(shape, dtype=torch.float16) for name, shape in LORA_XL.items()}
    torch.save(
        {"state_dict": numbers, "epoch": 3}, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy
    )

    pickled = inspect_file(tmp_path / "a.pt")
    safe = inspect_file(write(tmp_path / "a.safetensors", LORA_XL))

    for field in ("kind", "architecture", "precision", "parameters", "tensors"):
        assert getattr(pickled, field) == getattr(safe, field)
    assert pickled.format is (Format.TORCH_LEGACY if legacy else Format.TORCH_ZIP)


def test_torch_is_not_needed_to_read_a_pickle(tmp_path: Path):
    torch.save({"state_dict": {"emb_params": torch.zeros(1, 768)}}, tmp_path / "a.pt")
    line = "import sys; sys.modules['torch'] = None; from pathlib import Path\n"
    line += "from model_packaging.inspection import inspect_file; print(inspect_file(Path(sys.argv[1])).kind)"

    told = subprocess.run(
        [sys.executable, "-c", line, tmp_path / "a.pt"], capture_output=True, text=True, check=True
    )

    assert told.stdout == "embedding\n"


def test_a_file_called_ckpt_that_is_safetensors_says_so(tmp_path: Path):
    seen = inspect_file(write(tmp_path / "a.ckpt", SD1))

    assert seen.format is Format.SAFETENSORS
    assert "it is safetensors under another name" in seen.notes


@pytest.mark.parametrize("name", ["absent.safetensors", "folder.ckpt"])
def test_what_cannot_be_opened_is_told(name: str, tmp_path: Path):
    (tmp_path / "folder.ckpt").mkdir()

    with pytest.raises(Unreadable, match="cannot be read"):
        inspect_file(tmp_path / name)


# metadata


def test_text_for_a_terminal_has_no_control_characters():
    seen = facts_of({"modelspec.title": "a\x1b[31mred\nline\x00", "modelspec.author": "None"})

    assert seen.title == "a [31mred line"
    assert seen.author == ""


@given(
    metadata=st.dictionaries(
        st.sampled_from([*KOHYA, "sshs_model_hash"]), st.text() | st.just("{}"), max_size=8
    )
)
def test_any_metadata_at_all_is_read(metadata: dict):
    facts = facts_of(metadata)

    assert all(trigger.word.isprintable() and trigger.count >= 0 for trigger in facts.trigger_words)
    assert facts.title.isprintable()


@pytest.mark.parametrize(
    "tags",
    [
        "[]",
        "null",
        "[" * 100_000,
        '{"a": 1}',
        '{"a": {"b": "x"}}',
        '{"a": {"b": -1}}',
        '{"a": {"b": 1e999}}',
        '{"a": {"": 3}}',
    ],
)
def test_odd_tag_counts_name_no_trigger_word(tags: str):
    assert facts_of({"ss_tag_frequency": tags}).trigger_words == ()


# digests


def test_webuis_hashes_by_their_definitions(tmp_path: Path):
    place = lora(tmp_path / "a.safetensors", rows=20_000)
    content = place.read_bytes()
    behind_header = content[8 + int.from_bytes(content[:8], "little") :]

    seen = hash_file(place)

    assert seen.sha256 == hashlib.sha256(content).hexdigest()
    assert seen.autov1 == hashlib.sha256(content[2**20 : 2**20 + 2**16]).hexdigest()[:8]
    assert seen.autov2 == seen.sha256[:10]
    assert seen.autov3 == hashlib.sha256(behind_header).hexdigest()[:12]


@pytest.mark.parametrize("size", [0, 1, 8, 9, 2**20 + 5, 9 * 2**20])
def test_any_other_file_has_no_autov3(size: int, tmp_path: Path):
    place = tmp_path / "a.bin"
    place.write_bytes(os.urandom(size).replace(b"{", b"x"))

    seen = hash_file(place)

    assert seen.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
    assert seen.autov3 == ""


def test_progress_goes_up_to_the_whole(tmp_path: Path):
    place = lora(tmp_path / "a.safetensors", rows=80_000)
    told: list[tuple[int, int]] = []

    hash_file(place, lambda done, whole: told.append((done, whole)))

    size = place.stat().st_size
    assert told == sorted(told)
    assert told[-1] == (size, size)
    assert len(told) > 1


def test_a_file_that_grows_meanwhile_is_refused(tmp_path: Path):
    place = lora(tmp_path / "a.safetensors", rows=80_000)

    def grow(_done: int, _whole: int) -> None:
        with place.open("ab") as file:
            file.write(b"more")

    with pytest.raises(Unreadable) as refused:
        hash_file(place, grow)
    assert refused.value.reason == "changed"
