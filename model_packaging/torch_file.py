"""A `.ckpt`, `.pt`, `.pth` or `.bin` as torch.save wrote it: its tensors and where their numbers lie.

The pickle is followed, never unpickled (`pickle_opcodes`). Both layouts are read: the zip of torch 1.6 and
later, and the older one, in which the pickles and then the storages follow each other.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from io import SEEK_END
from typing import Any, BinaryIO

from model_packaging.errors import Hostile, Unreadable
from model_packaging.kinds import Format
from model_packaging.pickle_opcodes import (
    TENSOR_GLOBALS,
    Built,
    Global,
    Pairs,
    Persistent,
    Pickled,
    read_pickle,
)
from model_packaging.stand_ins import refuse_stand_in
from model_packaging.tensors import BITS, Tensor
from model_packaging.torch_zip import MOST_PICKLE_BYTES, Entry, is_zip, open_torch_zip

MOST_TENSORS = 20_000
MOST_VISITED = 200_000
DEEPEST = 8
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LEGACY_PICKLES = 5
WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "params", "module", "model", "model_ema")
"""Under which names programs put the weights among other things; the first that is there counts."""
MOST_STATED = 100
MOST_TEXT = 500
EMA = ("model_ema.",)

_DTYPES = {
    "FloatStorage": "F32",
    "DoubleStorage": "F64",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "UntypedStorage": "U8",
    "float32": "F32",
    "float64": "F64",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A view of a storage: `offset` and `stride` in elements, as torch counts them."""

    tensor: Tensor
    storage: str
    offset: int
    stride: tuple[int, ...]

    @property
    def span(self) -> int:
        """Elements of the storage from the tensor's first to its last."""
        steps = zip(self.tensor.shape, self.stride, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in steps) if self.tensor.elements else 0

    @property
    def is_contiguous(self) -> bool:
        expected = 1
        for size, stride in zip(reversed(self.tensor.shape), reversed(self.stride), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchFile:
    """`tensors` by name, unwrapped; `storages` by key; `left_out`: names of what is no tensor of the model.

    `stated`: the short texts and numbers among that, as text. `notes`: sentences for people.
    """

    format: Format
    tensors: Mapping[str, StoredTensor]
    storages: Mapping[str, Entry]
    left_out: tuple[str, ...]
    stated: Mapping[str, str]
    notes: tuple[str, ...]


def read_torch_file(file: BinaryIO) -> TorchFile:
    """Raises `Unreadable` or `Hostile`, both with what and where. `file` can seek."""
    file.seek(0)
    start = file.read(512)
    if not start:
        raise Unreadable("empty", "the file is empty; download it again")
    refuse_stand_in(start)
    return _read_zip(file) if is_zip(start) else _read_legacy(file, start)


def pickle_in(file: BinaryIO, *, at_most: int) -> bytes:
    """The bytes of the pickle, for somebody else's opinion; b"" where it is longer than `at_most`."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    content = open_torch_zip(file).pickle if is_zip(start) else _pickles_of(file.read(at_most))
    return content if len(content) <= at_most else b""


def _pickles_of(content: bytes) -> bytes:
    """Without the numbers behind the five pickles of an old file; all of it where they cannot be followed."""
    source = io.BytesIO(content)
    try:
        for _ in range(LEGACY_PICKLES):
            read_pickle(source)
    except (Unreadable, Hostile):
        return content
    return content[: source.tell()]


def _read_zip(file: BinaryIO) -> TorchFile:
    archive = open_torch_zip(file)
    pickled = read_pickle(io.BytesIO(archive.pickle))
    if pickled.end != len(archive.pickle):
        raise Hostile("second-pickle", "data.pkl goes on behind its end", position=pickled.end)
    return _torch_file(Format.TORCH_ZIP, pickled, archive.storages)


def _read_legacy(file: BinaryIO, start: bytes) -> TorchFile:
    """Magic number, protocol, type sizes, the model, the storages' keys: five pickles, then the storages."""
    if start[257:262] == b"ustar":
        raise Unreadable(
            "torch-tar", "a tar file, as torch wrote before 2018; save the model with a newer torch"
        )
    file.seek(0)
    source = io.BytesIO(file.read(MOST_PICKLE_BYTES))
    if (read_pickle(source).root, read_pickle(source).root) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise Unreadable("not-torch", "a pickle that torch.save did not write")
    if ("little_endian", True) not in _pairs(read_pickle(source).root):
        raise Unreadable("byteorder", "the numbers are big-endian; save the model on another machine")
    model, keys = read_pickle(source), read_pickle(source).root
    if not isinstance(keys, list) or not all(type(key) is str for key in keys):
        raise Unreadable("broken-pickle", "the file does not name its storages")
    return _torch_file(Format.TORCH_LEGACY, model, _legacy_storages(file, source.tell(), keys, model))


def _legacy_storages(file: BinaryIO, offset: int, keys: list[str], model: Pickled) -> dict[str, Entry]:
    """Each storage: its count of elements in 8 bytes, then the elements."""
    used = _storages(model)
    size = file.seek(0, SEEK_END)
    found: dict[str, Entry] = {}
    for key in keys:
        if key not in used or key in found:
            raise Unreadable("broken-storages", f"the storage {key[:40]!r} is unknown, or there twice")
        file.seek(offset)
        count = int.from_bytes(file.read(8), "little")
        entry = Entry(offset=offset + 8, size=count * used[key].item_size, crc=None)
        offset = entry.offset + entry.size
        if offset > size:
            raise Unreadable("truncated", "the file ends inside its numbers; download it again")
        found[key] = entry
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storage:
    key: str
    dtype: str
    elements: int

    @property
    def item_size(self) -> int:
        return BITS[self.dtype] // 8


def _storage(persistent: Any) -> _Storage:
    """`("storage", type, key, device, elements)`, with a sixth item in old files that says it is no view."""
    if type(persistent) is not tuple or len(persistent) not in {5, 6} or persistent[0] != "storage":
        raise Unreadable("broken-storages", "the pickle refers to something that is no storage")
    _, kind, key, _, elements, *view = persistent
    dtype = _DTYPES.get(kind.name.rpartition(".")[2]) if type(kind) is Global else None
    if dtype is None or type(key) is not str or not _is_count(elements) or view not in ([], [None]):
        raise Unreadable("broken-storages", "the pickle describes a storage that no torch writes")
    return _Storage(key=key, dtype=dtype, elements=elements)


def _storages(pickled: Pickled) -> dict[str, _Storage]:
    """Every storage the pickle refers to, by key; two stories about one are refused."""
    found: dict[str, _Storage] = {}
    for storage in map(_storage, pickled.persistent):
        if found.setdefault(storage.key, storage) != storage:
            raise Unreadable("broken-storages", f"the storage {storage.key[:40]!r} has two types or sizes")
    return found


def _torch_file(file_format: Format, pickled: Pickled, storages: Mapping[str, Entry]) -> TorchFile:
    for key, storage in _storages(pickled).items():
        if key not in storages or storages[key].size != storage.elements * storage.item_size:
            raise Unreadable("truncated", f"the storage {key[:40]!r} is missing or has another size")
    collected = _Collected()
    collected.unwrap(pickled.root)
    training = sorted(pickled.globals - TENSOR_GLOBALS)
    return TorchFile(
        format=file_format,
        tensors=collected.tensors,
        storages=storages,
        left_out=tuple(collected.left_out),
        stated=collected.stated,
        notes=_notes(training, collected),
    )


def _notes(training: list[str], collected: "_Collected") -> tuple[str, ...]:
    notes = ["a pickle: convert it, the inference server loads safetensors best"]
    if training:
        notes.append(f"beside the tensors it holds what a training program left: {', '.join(training[:8])}")
    if collected.left_out:
        notes.append(
            f"conversion leaves out {len(collected.left_out)} entries that are not the model's weights"
        )
    return tuple(notes)


class _Collected:
    """The tensors of a pickle by name, and the names of everything else."""

    def __init__(self) -> None:
        self.tensors: dict[str, StoredTensor] = {}
        self.left_out: list[str] = []
        self.stated: dict[str, str] = {}
        self._visited = 0

    def unwrap(self, root: Any) -> None:
        """Down to where the weights are; what stands beside them is left out by name."""
        pairs = _pairs(root)
        names = dict.fromkeys(_text_keys(pairs))
        wrapper = next((name for name in WRAPPERS if name in names), None)
        inner = next((value for key, value in pairs if type(key) is str and key == wrapper), None)
        if wrapper is None or not _pairs(inner):
            return self._collect(pairs, prefix="", depth=0)
        for key, value in pairs:
            if key != wrapper:
                self._leave_out(str(key) if type(key) in {str, int} else "?", value)
        return self._collect(_pairs(inner), prefix="", depth=0)

    def _collect(self, pairs: list[tuple[Any, Any]], *, prefix: str, depth: int) -> None:
        for key, value in pairs:
            self._visited += 1
            if self._visited > MOST_VISITED or len(self.tensors) > MOST_TENSORS:
                raise Hostile("too-many-names", f"the pickle holds more than {MOST_TENSORS:,} tensors")
            name = f"{prefix}{key}" if type(key) in {str, int} else f"{prefix}?"
            if (stored := _stored(value)) is not None and not name.startswith(EMA):
                self._add(name, stored)
            elif (inner := _pairs(value)) and depth < DEEPEST:
                self._collect(inner, prefix=f"{name}.", depth=depth + 1)
            else:
                self._leave_out(name, value)

    def _leave_out(self, name: str, value: Any) -> None:
        self.left_out.append(name)
        text = str(value)[:MOST_TEXT] if type(value) in {str, int, float, bool} else ""
        if text and len(self.stated) < MOST_STATED:
            self.stated[name] = text

    def _add(self, name: str, stored: StoredTensor) -> None:
        if self.tensors.get(name, stored) != stored:
            raise Hostile("duplicate-name", f"the pickle holds two tensors {name[:80]!r}", culprit=name[:80])
        self.tensors[name] = stored


def _text_keys(pairs: list[tuple[Any, Any]]) -> list[str]:
    return [key for key, _ in pairs if type(key) is str]


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """The items of a dictionary, of an OrderedDict, or of torch's ParameterDict; none for anything else."""
    if type(value) is Pairs:
        return value
    if type(value) is not Built:
        return []
    if value.function.name == "torch.nn.modules.container.ParameterDict":
        state = dict.fromkeys(("_parameters",))
        return next((_pairs(inner) for key, inner in _pairs(value.state) if key in state), [])
    return value.items if value.function.name == "collections.OrderedDict" else []


def _stored(value: Any) -> StoredTensor | None:
    """A tensor as its rebuilding functions describe it; None for anything else."""
    if type(value) is not Built:
        return None
    name, arguments = value.function.name, value.arguments
    if name in {"torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter"} and arguments:
        return None if arguments[0] is value else _stored(arguments[0])
    if not name.startswith("torch._utils._rebuild_tensor") or len(arguments) < 4:
        return None
    storage, offset, shape, stride, *rest = arguments
    if type(storage) is not Persistent:
        raise Unreadable("broken-tensor", "a tensor without a storage")
    held = _storage(storage.id)
    dtype = _DTYPES.get(rest[2].name.rpartition(".")[2], "") if name.endswith("_v3") else held.dtype
    return _checked(held, dtype, offset, _size(shape), _size(stride))


def _size(value: Any) -> Any:
    """torch.Size comes as a call around its tuple."""
    return value.arguments[0] if type(value) is Built and value.function.name == "torch.Size" else value


def _checked(held: _Storage, dtype: str, offset: Any, shape: Any, stride: Any) -> StoredTensor:
    """Every element lies inside the storage, and there are not more elements than it has."""
    counts = (offset, *shape, *stride) if type(shape) is type(stride) is tuple else (-1,)
    if dtype not in BITS or not all(map(_is_count, counts)) or len(shape) != len(stride) or len(shape) > 16:
        raise Unreadable("broken-tensor", "a tensor with an impossible type or shape")
    tensor = Tensor(dtype=dtype, shape=shape)
    room = held.elements * BITS[held.dtype] // BITS[dtype]
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if tensor.elements and (last >= room or tensor.elements > room):
        raise Hostile("out-of-range", "a tensor that reaches past its storage", culprit=held.key[:40])
    return StoredTensor(tensor=tensor, storage=held.key, offset=offset, stride=stride)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**50
