"""Pickles that would run something are refused by name and position, whatever their shape; nothing runs."""

import io
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picklescan.scanner import scan_pickle_bytes

from model_packaging.conversion import convert
from model_packaging.errors import Hostile, NotConvertible, PackagingError, Unreadable
from model_packaging.inspection import inspect_file
from model_packaging.pickle_opcodes import Pairs, read_pickle
from model_packaging.verification import verify_folder
from tests.packaging.hostile_pickles import (
    CONTAINERS,
    GADGETS,
    RUNS_NOTHING,
    SHAPES,
    UNSEEN_BY_PICKLESCAN,
    Believing,
    Mark,
    as_zip,
    hostile_pickles,
)

torch = pytest.importorskip("torch")


def saved(place: Path, content: object, **how: object) -> Path:
    torch.save(content, place, **how)
    return place


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.ckpt"


def refusal(path: Path) -> PackagingError:
    with pytest.raises(PackagingError) as refused:
        inspect_file(path)
    return refused.value


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_gadget_in_every_shape_is_refused_by_name(container: str, model: Path, tmp_path: Path):
    marker = tmp_path / "marker"
    cases = list(hostile_pickles(marker, container=container))
    assert len(cases) > 1000

    for case in cases:
        model.write_bytes(case.content)
        refused = refusal(model)

        assert isinstance(refused, Hostile), case.name
        assert (refused.reason, refused.culprit) == ("global", case.culprit), case.name
        assert refused.position is not None
        assert case.culprit in str(refused)
    assert sorted(tmp_path.iterdir()) == [model]


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - RUNS_NOTHING))
def test_the_shapes_are_truly_hostile(shape: str, tmp_path: Path):
    marker = tmp_path / "marker"
    content = SHAPES[shape](Mark.__module__, "Mark", str(marker))

    try:
        Believing(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, AttributeError, TypeError, EOFError):
        """Too late: it has run by then."""

    assert marker.exists()


@pytest.mark.parametrize(("module", "name"), UNSEEN_BY_PICKLESCAN)
def test_what_a_list_of_bad_names_lets_pass_is_refused(module: str, name: str, model: Path):
    content = SHAPES["protocol 2"](module, name, "marker")
    dangerous = [
        found
        for found in scan_pickle_bytes(io.BytesIO(content), "a").globals
        if found.safety.value == "dangerous"
    ]
    model.write_bytes(content)

    assert dangerous == []
    assert isinstance(refusal(model), Hostile)


def test_verify_tells_the_global_and_shows_the_second_opinion(tmp_path: Path):
    place = tmp_path / "Stable-diffusion/bad.ckpt"
    place.parent.mkdir()
    place.write_bytes(as_zip(SHAPES["protocol 2"]("posix", "system", "marker")))

    report = verify_folder(tmp_path)

    assert not report.ok
    [finding] = [found for found in report.findings if found.code == "global"]
    assert "posix.system, at byte 2" in finding.what
    assert "picklescan calls posix.system dangerous" in finding.what


@pytest.mark.parametrize("shape", ["protocol 2", "OBJ", "popped again"])
def test_convert_refuses_what_verify_refuses_and_writes_nothing(shape: str, model: Path, tmp_path: Path):
    model.write_bytes(as_zip(SHAPES[shape]("posix", "system", f"touch {tmp_path / 'marker'}")))

    with pytest.raises(Hostile):
        convert(model)

    assert list(tmp_path.iterdir()) == [model]


SPECIAL = {
    "EXT1": (b"\x80\x02\x82\x01.", "opcode"),
    "EXT2": (b"\x80\x02\x83\x01\x00.", "opcode"),
    "EXT4": (b"\x80\x02\x84\x01\x00\x00\x00.", "opcode"),
    "PERSID": (b"Psomewhere\n.", "opcode"),
    "out-of-band buffer": (b"\x80\x05\x97.", "opcode"),
    "a name that is no text": (b"\x80\x04K\x01\x8c\x06system\x93.", "computed-global"),
    "a module that is a tuple": (b"\x80\x04)\x8c\x06system\x93.", "computed-global"),
    "a call of a call": (b"\x80\x02ccollections\nOrderedDict\n)R)R.", "call"),
    "a call of a text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "call"),
    "a state for a list": (b"\x80\x02]}b.", "build"),
    "a state for a class": (b"\x80\x02ccollections\nOrderedDict\n}b.", "build"),
    "protocol 6": (b"\x80\x06}.", "broken-pickle"),
    "unknown instruction": (b"\x80\x02\xff.", "broken-pickle"),
    "an empty stack": (b"\x80\x020.", "broken-pickle"),
    "a mark as the result": (b"\x80\x02(.", "broken-pickle"),
    "a memo place never written": (b"\x80\x02h\x07.", "broken-pickle"),
    "a memo place beyond all": (b"\x80\x02}p99999999999999999999\n.", "broken-pickle"),
    "a number of 5,000 digits": (b"I" + b"9" * 5000 + b"\n.", "broken-pickle"),
    "a text longer than the file": (b"\x80\x02X\xff\xff\xff\x7fabc.", "broken-pickle"),
    "a byte count below zero": (b"\x80\x02\x8b\xff\xff\xff\xff.", "broken-pickle"),
    "a million instructions": (b"\x80\x02" + b"}0" * 600_000 + b"}.", "too-long"),
    "the wrong magic": (b"\x80\x02}.\x80\x02}.", "not-torch"),
    "an empty file": (b"", "empty"),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_other_pickles_no_torch_writes_are_refused_with_a_reason(name: str, model: Path):
    content, reason = SPECIAL[name]
    model.write_bytes(content)

    assert refusal(model).reason == reason


def test_a_second_pickle_behind_the_first_is_refused(model: Path, tmp_path: Path):
    second = SHAPES["protocol 2"]("posix", "system", str(tmp_path / "marker"))
    model.write_bytes(as_zip(b"\x80\x02}." + second))

    assert refusal(model).reason == "second-pickle"


def test_a_laughing_matter_of_shared_dictionaries_ends_at_once(model: Path):
    """Each of eight levels names the next a hundred times."""
    content = b"\x80\x02}"
    for level in range(8):
        content += b"q" + bytes([level]) + b"0}"
        content += b"".join(b"M" + bytes([n, 1]) + b"h" + bytes([level]) + b"s" for n in range(100))
    model.write_bytes(as_zip(content + b"."))

    assert refusal(model).reason == "too-many-names"


# zips


def rezipped(place: Path, change: "dict[str, bytes] | None" = None, **how: int) -> Path:
    """A small saved model with other members: a name with an empty text is left out."""
    torch.save({"a": torch.ones(4)}, place)
    with zipfile.ZipFile(place) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    top = next(iter(members)).partition("/")[0]
    members |= {f"{top}/{name}": content for name, content in (change or {}).items()}
    with zipfile.ZipFile(place, "w", **how) as archive:
        for name, content in members.items():
            if content:
                archive.writestr(name, content)
    return place


ZIPS = {
    "program code": ({"code/__torch__.py": b"import os"}, "torchscript"),
    "constants": ({"constants.pkl": b"\x80\x02}."}, "torchscript"),
    "a second pickle file": ({"extra.pkl": b"\x80\x02}."}, "second-pickle"),
    "a name that leads outside": ({"../../evil": b"x"}, "member-name"),
    "a backslash": ({"data\\evil": b"x"}, "member-name"),
    "names alike but for case": ({"DATA/0": b"x"}, "case-collision"),
    "big-endian numbers": ({"byteorder": b"big"}, "byteorder"),
    "a storage too short": ({"data/0": b"1234"}, "truncated"),
    "no storage": ({"data/0": b""}, "truncated"),
    "no pickle": ({"data.pkl": b""}, "not-torch"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_zips_that_torch_does_not_write_are_refused(name: str, model: Path):
    change, reason = ZIPS[name]

    assert refusal(rezipped(model, change)).reason == reason


def test_a_compressed_zip_is_refused(model: Path):
    assert refusal(rezipped(model, compression=zipfile.ZIP_DEFLATED)).reason == "compressed"


def test_a_zip_with_one_name_twice_is_refused(model: Path):
    rezipped(model)
    with zipfile.ZipFile(model, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("model/data.pkl", b"\x80\x02}.")

    assert refusal(model).reason == "duplicate-member"


def test_a_zip_whose_headers_tell_two_stories_is_refused(model: Path):
    content = bytearray(rezipped(model).read_bytes())
    at = content.index(b"model/data.pkl")
    content[at : at + 14] = b"model/DATA.PKL"
    model.write_bytes(content)

    assert refusal(model).reason == "headers-differ"


@pytest.mark.parametrize("member", ["data.pkl", "data/0"])
def test_wrong_checksums_are_found(member: str, tmp_path: Path):
    place = tmp_path / "Stable-diffusion/model.ckpt"
    place.parent.mkdir()
    content = bytearray(rezipped(place).read_bytes())
    at = content.index(f"model/{member}".encode()) + len(f"model/{member}") + 5
    content[at] ^= 1
    place.write_bytes(content)

    report = verify_folder(tmp_path)

    assert not report.ok
    assert {finding.code for finding in report.findings} & {"crc", "broken-pickle", "global"}
    with pytest.raises((Unreadable, NotConvertible, Hostile)):
        convert(place)
    assert not place.with_suffix(".safetensors").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_saved_model_cut_anywhere_is_refused(legacy: bool, model: Path):
    whole = saved(model, {"a": torch.ones(64)}, _use_new_zipfile_serialization=not legacy).read_bytes()
    cuts = random.Random(5).sample(range(len(whole)), 100)

    for cut in cuts:
        model.write_bytes(whole[:cut])

        assert isinstance(refusal(model), Unreadable), cut


# tensors that lie


def tensor_pickle(*, offset: int = 0, shape: tuple = (4,), stride: tuple = (1,), count: int = 4) -> bytes:
    storage = b"(" + b"".join([b"X\x07\x00\x00\x00storage", b"ctorch\nFloatStorage\n", b"X\x01\x00\x00\x000"])
    storage += b"X\x03\x00\x00\x00cpu" + pickle.dumps(count, 2)[2:-1] + b"tQ"
    numbers = b"".join(pickle.dumps(value, 2)[2:-1] for value in (offset, shape, stride))
    rebuilt = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers + b"\x89ccollections\nOrderedDict\n)RtR"
    )
    return b"\x80\x02}X\x01\x00\x00\x00a" + rebuilt + b"s."


LIES = {
    "past the end": ({"offset": 1}, "out-of-range"),
    "more than there is": ({"shape": (8,)}, "out-of-range"),
    "one number a billion times": ({"shape": (10**9,), "stride": (0,)}, "out-of-range"),
    "a stride past the end": ({"shape": (2,), "stride": (4,)}, "out-of-range"),
    "before the beginning": ({"offset": -1}, "broken-tensor"),
    "a stride backwards": ({"stride": (-1,)}, "broken-tensor"),
    "a shape without strides": ({"stride": ()}, "broken-tensor"),
    "a shape of a text": ({"shape": ("4",)}, "broken-tensor"),
    "a storage of another size": ({"count": 5}, "truncated"),
}


@pytest.mark.parametrize("lie", LIES)
def test_tensors_that_lie_about_their_place_are_refused(lie: str, model: Path):
    how, reason = LIES[lie]

    assert refusal(rezipped(model, {"data.pkl": tensor_pickle(**how)})).reason == reason


def test_the_same_pickle_without_a_lie_is_read(model: Path):
    assert inspect_file(rezipped(model, {"data.pkl": tensor_pickle()})).parameters == 4


# honest pickles


def test_what_training_programs_leave_is_read_and_told(model: Path):
    saved(
        model,
        {
            "state_dict": {"w": torch.ones(3)},
            "best": np.float64(0.5),
            "counts": __import__("collections").defaultdict(int, a=1),
            "names": {"a", "b"},
            "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}},
        },
    )

    seen = inspect_file(model)

    assert seen.tensors == 1
    assert any("training program" in note for note in seen.notes)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=30,
)


def as_inert(value: object) -> object:
    if isinstance(value, dict):
        return [(as_inert(key), as_inert(inner)) for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value)(as_inert(inner) for inner in value)
    return value


def as_plain(value: object) -> object:
    if isinstance(value, Pairs):
        return [(as_plain(key), as_plain(inner)) for key, inner in value]
    if isinstance(value, (list, tuple)):
        return type(value)(as_plain(inner) for inner in value)
    return value


@given(value=plain, protocol=st.integers(3, 5))
def test_plain_values_are_read_as_pickle_reads_them(value: object, protocol: int):
    content = pickle.dumps(value, protocol)

    found = read_pickle(io.BytesIO(content + b"more"))

    assert as_plain(found.root) == as_inert(value)
    assert found.end == len(content)
    assert found.globals == frozenset()


@given(content=st.binary(max_size=200))
def test_any_bytes_at_all_are_read_or_refused(content: bytes):
    try:
        found = read_pickle(io.BytesIO(content))
    except (Hostile, Unreadable):
        return
    assert found.end <= len(content)


def test_the_corpus_holds_every_gadget_once():
    assert len({tuple(gadget) for gadget in GADGETS}) == len(GADGETS) >= 60
