"""Pickles that would do something if they were unpickled, written opcode by opcode.

Every gadget is combined with every shape. Its arguments name a marker file, which would appear.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
PROTOCOL = b"\x80\x02M\xe9\x03."
SYSTEM = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)

GADGETS = tuple(
    line.split(" ", 1)
    for line in """
os system
posix system
nt system
os execv
os popen
os putenv
os remove
subprocess call
subprocess Popen
subprocess run
subprocess getoutput
builtins exec
builtins eval
builtins compile
builtins __import__
builtins getattr
builtins open
__builtin__ file
io open
_io FileIO
codecs open
timeit timeit
cProfile run
profile run
pdb run
trace Trace
pydoc pipepager
pydoc locate
logging FileHandler
logging.config fileConfig
shutil copyfile
shutil rmtree
numpy.testing._private.utils runstring
numpy load
numpy.f2py.capi_maps load_f2cmap_file
torch.utils.collect_env run
torch.hub load
torch.serialization load
torch.jit load
torch load
torch._utils _import_dotted_name
torch.storage _load_from_bytes
runpy run_path
code InteractiveInterpreter
importlib import_module
importlib.util spec_from_file_location
webbrowser open
ctypes CDLL
socket create_connection
urllib.request urlretrieve
pickle loads
_pickle loads
marshal loads
operator methodcaller
operator attrgetter
functools partial
types FunctionType
bdb Bdb.run
doctest debug_script
ensurepip _run_pip
pip main
distutils.file_util write_file
tempfile NamedTemporaryFile
pathlib Path.write_text
sqlite3 connect
asyncio.subprocess create_subprocess_shell
multiprocessing.util spawnv_passfds
collections namedtuple
collections OrderedDict.fromkeys
torch nn.Module
""".strip().splitlines()
)
"""Module and name: what executes or opens at once, and what later steps could build on."""

UNSEEN_BY_PICKLESCAN = (
    ("io", "open"),
    ("codecs", "open"),
    ("trace", "Trace"),
    ("logging.config", "fileConfig"),
    ("torch.hub", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("marshal", "loads"),
    ("sqlite3", "connect"),
    ("pathlib", "Path.write_text"),
    ("multiprocessing.util", "spawnv_passfds"),
)
"""Its default mode calls none of them dangerous."""


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def arguments(marker: str) -> bytes:
    """The tuple `(marker, "w")`."""
    return b"(" + text(marker) + text("w") + b"t"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _stack_global(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


def _framed(body: bytes) -> bytes:
    return b"\x80\x05\x95" + struct.pack("<Q", len(body)) + body


Shape = Callable[[str, str, str], bytes]
"""Module, name and marker's path to one pickle."""

SHAPES: dict[str, Shape] = {
    "protocol 0": lambda m, n, p: _global(m, n) + f"(S'{p}'\nS'w'\ntR.".encode(),
    "protocol 2": lambda m, n, p: b"\x80\x02" + _global(m, n) + arguments(p) + b"R.",
    "protocol 4": lambda m, n, p: b"\x80\x04" + _stack_global(m, n) + arguments(p) + b"R.",
    "protocol 5 in a frame": lambda m, n, p: _framed(_stack_global(m, n) + arguments(p) + b"R."),
    "names from the memo": lambda m, n, p: (
        b"\x80\x04"
        + short(n)
        + b"q\x00"
        + b"0"
        + short(m)
        + b"q\x01"
        + b"0h\x01h\x00\x93"
        + arguments(p)
        + b"R."
    ),
    "names from MEMOIZE": lambda m, n, p: (
        b"\x80\x04" + short(m) + b"\x94" + short(n) + b"\x94" + b"00h\x00h\x01\x93" + arguments(p) + b"R."
    ),
    "INST": lambda m, n, p: b"(" + text(p) + text("w") + f"i{m}\n{n}\n.".encode(),
    "OBJ": lambda m, n, p: b"\x80\x02(" + _global(m, n) + text(p) + text("w") + b"o.",
    "NEWOBJ": lambda m, n, p: b"\x80\x02" + _global(m, n) + arguments(p) + b"\x81.",
    "NEWOBJ_EX": lambda m, n, p: b"\x80\x04" + _stack_global(m, n) + arguments(p) + b"}\x92.",
    "BUILD": lambda m, n, p: b"\x80\x02ccollections\nOrderedDict\n)R" + _global(m, n) + arguments(p) + b"Rb.",
    "inside a state_dict": lambda m, n, p: (
        b"\x80\x02}" + text("state_dict") + b"}" + text("w") + _global(m, n) + arguments(p) + b"Rss."
    ),
    "in a persistent id": lambda m, n, p: b"\x80\x02" + _global(m, n) + arguments(p) + b"RQ.",
    "a dictionary's key": lambda m, n, p: b"\x80\x02}" + _global(m, n) + arguments(p) + b"RNs.",
    "popped again": lambda m, n, p: b"\x80\x02" + _global(m, n) + arguments(p) + b"R0}.",
    "behind a mark that is popped": lambda m, n, p: b"\x80\x02(" + _global(m, n) + arguments(p) + b"R1}.",
    "copied": lambda m, n, p: b"\x80\x02" + _global(m, n) + b"2" + arguments(p) + b"R\x86.",
    "no end": lambda m, n, p: b"\x80\x02" + _global(m, n) + arguments(p) + b"R",
    "only named": lambda m, n, p: b"\x80\x02}" + text("x") + _global(m, n) + b"s.",
}
RUNS_NOTHING = {"only named"}
"""Shapes that would only import."""


def as_zip(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return made.getvalue()


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "bare": lambda content: content,
    "zip": as_zip,
    "legacy model": lambda content: MAGIC + PROTOCOL + SYSTEM + content + b"\x80\x02]q\x00.",
    "legacy keys": lambda content: MAGIC + PROTOCOL + SYSTEM + b"\x80\x02}q\x00." + content,
    "legacy system": lambda content: MAGIC + PROTOCOL + content,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostilePickle:
    name: str
    culprit: str
    content: bytes


def hostile_pickles(marker: Path, *, container: str) -> Iterator[HostilePickle]:
    """Every gadget in every shape in that container."""
    for module, name in GADGETS:
        for shape, build in SHAPES.items():
            content = CONTAINERS[container](build(module, name, str(marker)))
            yield HostilePickle(name=f"{module}.{name} {shape}", culprit=f"{module}.{name}", content=content)


class Mark:
    """A gadget that does no more than make an empty file."""

    def __new__(cls, place: str, _: str) -> Self:
        Path(place).touch()
        return super().__new__(cls)


class Believing(pickle.Unpickler):
    """What a careless program does."""

    def persistent_load(self, _: object) -> None:
        return None
