"""A pickle's tensors come out bit for bit, or not at all; nothing of the pickle runs, there is no network."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from model_packaging.conversion import convert
from model_packaging.errors import NotConvertible, PackagingError, WrongPlace
from model_packaging.numbers import read_numbers, to_half
from model_packaging.tensors import Tensor
from model_packaging.torch_file import StoredTensor
from model_packaging.torch_zip import Entry

torch = pytest.importorskip("torch")
load_file = pytest.importorskip("safetensors.torch").load_file

A = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
TENSORS = {
    "plain": A,
    "transposed": A.t(),
    "rows": A[3:5],
    "every other column": A[:, ::2],
    "shared": A,
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "half": torch.randn(7).half(),
    "bfloat": torch.randn(9, 3).bfloat16(),
    "double": torch.randn(3, dtype=torch.float64),
    "whole numbers": torch.arange(5),
    "bytes": torch.arange(7, dtype=torch.uint8),
    "truths": torch.tensor([True, False, True]),
    "eight bits": torch.randn(4).to(torch.float8_e4m3fn),
    "a scalar": torch.tensor(3.5),
    "nothing": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(torch.ones(3)),
    "odd numbers": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45, 65504.0, 65520.0]),
}


def saved(place: Path, content: object, *, legacy: bool = False) -> Path:
    torch.save(content, place, _use_new_zipfile_serialization=not legacy)
    return place


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.contiguous().numpy(force=True).tobytes() == other.contiguous().numpy(force=True).tobytes()


def as_bits(tensor: torch.Tensor) -> torch.Tensor:
    """Of a type that numpy knows."""
    narrow = {torch.bfloat16: torch.int16, torch.float8_e4m3fn: torch.uint8}
    return tensor.detach().contiguous().view(narrow.get(tensor.dtype, tensor.dtype))


@pytest.mark.parametrize("legacy", [False, True])
def test_every_tensor_comes_out_bit_for_bit(legacy: bool, tmp_path: Path):
    source = saved(tmp_path / "model.ckpt", {"state_dict": TENSORS}, legacy=legacy)

    made = convert(source)

    got = load_file(made.target)
    assert made.target == tmp_path / "model.safetensors"
    assert got.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert got[name].dtype == tensor.dtype, name
        assert same_bits(as_bits(got[name]), as_bits(tensor)), name


def test_half_rounds_as_torch_does_and_leaves_the_rest(tmp_path: Path):
    made = convert(saved(tmp_path / "model.ckpt", TENSORS), half=True)

    got = load_file(made.target)
    for name, tensor in TENSORS.items():
        wide = tensor.dtype in {torch.float32, torch.float64, torch.bfloat16}
        expected = tensor.detach().half() if wide else tensor
        assert same_bits(as_bits(got[name]), as_bits(expected)), name


def test_what_is_no_weight_is_named_and_short_facts_are_kept(tmp_path: Path):
    content = {
        "state_dict": {"w": A, "model_ema.w": A, "model_ema.decay": torch.tensor(0.9)},
        "global_step": 840_000,
        "name": "ink",
        "optimizer_states": [{"state": {}}],
    }
    source = saved(tmp_path / "model.ckpt", content)

    made = convert(source)

    assert set(made.left_out) == {"global_step", "name", "optimizer_states", "model_ema.w", "model_ema.decay"}
    with safe_open(made.target, "pt") as file:
        assert list(file.keys()) == ["w"]
        told = file.metadata()
    assert told["source.global_step"] == "840000"
    assert told["source.name"] == "ink"
    assert told["source_sha256"] == made.source_sha256


def test_webuis_embeddings_get_their_name_in_safetensors(tmp_path: Path):
    vectors = torch.randn(4, 768)
    content = {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "cat", "step": 100}

    made = convert(saved(tmp_path / "cat.pt", content))

    assert torch.equal(load_file(made.target)["emb_params"], vectors)


def test_an_upscalers_ema_weights_are_the_ones_taken(tmp_path: Path):
    content = {"params": {"conv_first.weight": A}, "params_ema": {"conv_first.weight": A + 1}}

    made = convert(saved(tmp_path / "x4.pth", content))

    assert torch.equal(load_file(made.target)["conv_first.weight"], A + 1)


def test_the_process_has_no_network(tmp_path: Path):
    assert convert(saved(tmp_path / "model.ckpt", TENSORS)).network in {"namespace", "blocked"}


def test_nothing_is_replaced_unasked(tmp_path: Path):
    source = saved(tmp_path / "model.ckpt", {"w": A})
    (tmp_path / "model.safetensors").write_text("mine")

    with pytest.raises(WrongPlace, match="--force"):
        convert(source)
    assert (tmp_path / "model.safetensors").read_text() == "mine"

    convert(source, force=True)
    assert list(load_file(tmp_path / "model.safetensors")) == ["w"]


@pytest.mark.parametrize(
    ("content", "target"),
    [({"w": 1}, None), ([A], None), ({"w": A}, "model.ckpt"), ({"__metadata__": A}, None)],
)
def test_what_cannot_be_converted_leaves_nothing_behind(content: object, target: str | None, tmp_path: Path):
    source = saved(tmp_path / "source.pt", content)

    with pytest.raises((NotConvertible, WrongPlace)):
        convert(source, tmp_path / target if target else None)

    assert list(tmp_path.iterdir()) == [source]


def test_a_damaged_file_leaves_nothing_behind(tmp_path: Path):
    source = saved(tmp_path / "source.pt", {"w": A})
    content = bytearray(source.read_bytes())
    content[content.index(A.numpy().tobytes()[:64]) + 5] ^= 1
    source.write_bytes(content)

    with pytest.raises(PackagingError, match="damaged"):
        convert(source)
    assert list(tmp_path.iterdir()) == [source]


def test_safetensors_need_no_conversion(tmp_path: Path):
    with pytest.raises(NotConvertible, match="already"):
        convert(tmp_path / "model.safetensors")


def test_a_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(PackagingError, match="cannot be read"):
        convert(tmp_path / "absent.ckpt")


# the walls


def confined(line: str, *, memory: int = 2**30, seconds: int = 20, file_size: int = 2**20) -> str:
    """What a process says about `line` once the walls are up."""
    program = f"""
import socket, subprocess, os, sys
from model_packaging import confinement
confinement.leave_the_network()
confinement.limit(memory={memory}, seconds={seconds}, file_size={file_size})
confinement.refuse_the_rest()
try:
    {line}
except Exception as refused:
    print(type(refused).__name__)
else:
    print("done")
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return told.stdout.strip() or f"ended by {told.returncode}"


@pytest.mark.parametrize(
    "line",
    [
        "socket.socket()",
        "socket.getaddrinfo('localhost', 80)",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.execv('/bin/true', ['true'])",
        "os.fork()",
        "os.remove('/nowhere')",
        "os.rename('/nowhere', '/elsewhere')",
        "open('/nowhere/x', 'w')",
        "open('/nowhere/x', 'r+')",
        "os.open('/nowhere/x', os.O_WRONLY | os.O_CREAT)",
        "__import__('ctypes').CDLL(None)",
    ],
)
def test_the_confined_process_can_do_nothing_else(line: str):
    assert confined(line) == "Refused"


@pytest.mark.parametrize("line", ["open('/etc/hostname').read()", "b'x' * 1000"])
def test_reading_and_computing_go_on(line: str):
    assert confined(line) in {"done", "FileNotFoundError"}


def test_memory_has_an_end():
    assert confined("bytearray(2**31)") == "MemoryError"


def test_time_has_an_end():
    assert confined("[None for _ in iter(int, 1)]", seconds=1, memory=2**30) in {"ended by -9", "MemoryError"}


def test_without_an_empty_network_python_still_refuses_sockets():
    program = "import socket; from model_packaging import confinement; "
    program += "confinement.refuse_the_rest(); socket.socket()"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "Refused: socket.__new__" in told.stderr


def test_an_order_for_a_hostile_file_is_refused_in_the_process_too(tmp_path: Path):
    source, target = tmp_path / "a.ckpt", tmp_path / "a.part"
    source.write_bytes(b"cposix\nsystem\n(S'touch marker'\ntR.")
    target.touch()
    order = {"source": str(source), "target": str(target), "sha256": "0", "half": False}
    order |= {"memory": 2**30, "seconds": 20, "file_size": 2**20}

    told = subprocess.run(
        [sys.executable, "-m", "model_packaging.conversion_child"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 1
    assert "posix.system" in told.stderr
    assert target.read_bytes() == b""


# numbers


@given(values=st.lists(st.floats(width=32), max_size=50), piece=st.integers(1, 9))
def test_rounding_does_not_depend_on_how_the_bytes_arrive(values: list[float], piece: int):
    raw = np.array(values, "<f4").tobytes()
    pieces = iter([raw[at : at + piece] for at in range(0, len(raw), piece)])

    got = b"".join(to_half(pieces, "F32"))

    assert same_bits(
        torch.frombuffer(bytearray(got or b"\0\0"), dtype=torch.float16)[: len(values)],
        torch.tensor(values).half(),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), shape=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_any_view_is_gathered_as_torch_gathers_it(data: st.DataObject, shape: list[int], tmp_path: Path):
    whole = torch.arange(torch.Size(shape).numel(), dtype=torch.int32).reshape(shape)
    order = data.draw(st.permutations(range(len(shape))))
    view = whole.permute(*order)[:: data.draw(st.integers(1, 3))]
    stored = StoredTensor(
        tensor=Tensor(dtype="I32", shape=tuple(view.shape)),
        storage="0",
        offset=view.storage_offset(),
        stride=view.stride(),
    )
    place = tmp_path / "storage"
    place.write_bytes(b"before" + whole.numpy().tobytes())

    with place.open("rb") as file:
        entry = Entry(offset=6, size=whole.numel() * 4, crc=None)
        got = b"".join(read_numbers(file, stored, entry))

    assert got == view.contiguous().numpy().tobytes()
