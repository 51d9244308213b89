"""A pickle read without unpickling: its opcodes are followed on a stack of inert values.

Nothing is imported or called. What a pickle says to import is held against an allow-list of what tensors
and known training programs need. Any other global, wherever its name came from, ends the reading with its
name and position. A scanner asks "is it on my list of bad things"; here all is bad that is not known to be
needed.

The machine follows the protocols 0-5 (see the standard library's pickletools). Dictionaries become lists of
pairs, so that no hostile key is ever hashed.
"""

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from model_packaging.errors import Hostile, Unreadable

MOST_BYTES = 64 * 2**20
MOST_OPCODES = 1_000_000
MOST_MEMO = 2**32

_STORAGES = [
    "FloatStorage",
    "DoubleStorage",
    "HalfStorage",
    "BFloat16Storage",
    "LongStorage",
    "IntStorage",
    "ShortStorage",
    "CharStorage",
    "ByteStorage",
    "BoolStorage",
    "UntypedStorage",
]
_DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
]
_BUILTINS = ["set", "frozenset", "dict", "list", "int", "float", "complex", "long"]
_LIGHTNING = [
    "callbacks.model_checkpoint.ModelCheckpoint",
    "callbacks.early_stopping.EarlyStopping",
    "callbacks.lr_monitor.LearningRateMonitor",
    "utilities.parsing.AttributeDict",
]

TENSOR_GLOBALS = frozenset(
    {
        *(f"torch.{name}" for name in (*_STORAGES, *_DTYPES, "Size", "device")),
        *(f"torch.cuda.{name}" for name in _STORAGES),
        "torch.storage.UntypedStorage",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "torch.nn.parameter.Parameter",
        "torch.nn.modules.container.ParameterDict",
        "collections.OrderedDict",
    }
)
"""What tensors and the dictionaries around them need."""

TRAINING_GLOBALS = frozenset(
    {
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS),
        *(
            f"{package}.{name}"
            for package in ("pytorch_lightning", "lightning.pytorch")
            for name in _LIGHTNING
        ),
        *(
            f"numpy.{core}.multiarray.{name}"
            for core in ("core", "_core")
            for name in ("scalar", "_reconstruct")
        ),
        "numpy.dtype",
        "numpy.ndarray",
        "collections.defaultdict",
        "collections.Counter",
        "_codecs.encode",
    }
)
"""What honest training programs leave beside the tensors: step counts, losses, callbacks. Dropped on
conversion.
"""


@dataclass(frozen=True, slots=True)
class Global:
    """A name that unpickling would import. It is only a name here."""

    name: str


class Pairs(list[tuple[Any, Any]]):
    """A dictionary's items in the order in which they were set."""


@dataclass(slots=True, eq=False)
class Built:
    """What unpickling would make by calling `function`; `state` is what it would set on the result."""

    function: Global
    arguments: Any
    items: Pairs = field(default_factory=Pairs)
    state: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """A reference to something outside the pickle: torch's storages."""

    id: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pickled:
    """`root` is made of plain values and the classes above.

    `end`: bytes read, up to and with the STOP. `globals`: every name it would import. `persistent`: the ids
    of everything outside it that it refers to, in order.
    """

    root: Any
    end: int
    globals: frozenset[str]
    persistent: tuple[Any, ...]


def read_pickle(source: io.BytesIO) -> Pickled:
    """The next pickle in `source`. Raises `Hostile` with the offending global, `Unreadable` if it is
    broken.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(source)):
            machine.follow(opcode.name, argument, position or 0)
            if count > MOST_OPCODES:
                raise Hostile("too-long", f"the pickle has more than {MOST_OPCODES:,} instructions")
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, KeyError) as error:
        what = "it recalls what it never stored" if isinstance(error, KeyError) else error
        raise Unreadable("broken-pickle", f"the pickle is broken: {what}; download it again") from error
    return Pickled(
        root=machine.result(),
        end=source.tell(),
        globals=frozenset(machine.globals),
        persistent=tuple(machine.persistent),
    )


_MARK = object()


class _Machine:
    """The pickle machine, with data instead of deeds."""

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.persistent: list[Any] = []
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._position = 0

    def result(self) -> Any:
        if len(self._stack) != 1:
            raise Unreadable("broken-pickle", "the pickle is broken: it ends with nothing, or with leftovers")
        return self._stack[0]

    def follow(self, opcode: str, argument: Any, position: int) -> None:
        self._position = position
        if opcode in _VALUES:
            self._push(argument)
        elif opcode in _CONSTANTS:
            self._push(_CONSTANTS[opcode]())
        elif opcode in _MEMO_WRITES:
            self._remember(int(argument))
        elif opcode in _MEMO_READS:
            self._push(self._memo[int(argument)])
        elif opcode in _IGNORED:
            return
        elif (step := _STEPS.get(opcode)) is not None:
            step(self, argument)
        else:
            self._refuse("opcode", f"the instruction {opcode}, which no model needs", culprit=opcode)

    def _refuse(self, reason: str, what: str, culprit: str) -> None:
        text = f"the pickle has {what}, at byte {self._position}; get the model as safetensors"
        raise Hostile(reason, text, culprit=culprit, position=self._position)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def _top(self) -> Any:
        if self._stack[-1] is _MARK:
            raise ValueError("a mark where a value should be")
        return self._stack[-1]

    def _above_mark(self) -> list[Any]:
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _remember(self, index: int) -> None:
        if not 0 <= index < MOST_MEMO:
            raise ValueError("an impossible place in the memo")
        self._memo[index] = self._top()

    def _import(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            self._refuse("computed-global", "an import whose name is no text", culprit=type(name).__name__)
        full = f"{module}.{name}"
        if full not in TENSOR_GLOBALS and full not in TRAINING_GLOBALS:
            self._refuse("global", f"an import that no model needs: {_shown(full)}", culprit=_shown(full))
        self.globals.add(full)
        self._push(Global(full))

    def _call(self, function: Any, arguments: Any) -> None:
        if type(function) is not Global:
            self._refuse("call", "a call of something that is no import", culprit=type(function).__name__)
        if type(arguments) not in {tuple, list}:
            raise TypeError("a call without a tuple of arguments")
        self._push(Built(function, arguments))

    def on_proto(self, version: int) -> None:
        if version > 5:
            raise ValueError(f"protocol {version} is unknown")

    def on_mark(self, _: Any) -> None:
        self._push(_MARK)

    def on_pop(self, _: Any) -> None:
        self._stack.pop()

    def on_pop_mark(self, _: Any) -> None:
        self._above_mark()

    def on_dup(self, _: Any) -> None:
        self._push(self._top())

    def on_memoize(self, _: Any) -> None:
        self._remember(len(self._memo))

    def on_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._import(module, name)

    def on_stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        self._import(module, name)

    def on_inst(self, argument: str) -> None:
        arguments = self._above_mark()
        self.on_global(argument)
        self._call(self._pop(), arguments)

    def on_obj(self, _: Any) -> None:
        function, *arguments = self._above_mark()
        self._call(function, arguments)

    def on_reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        self._call(function, arguments)

    def on_newobj_ex(self, _: Any) -> None:
        named, arguments, function = self._pop(), self._pop(), self._pop()
        self._call(function, arguments)
        self._stack[-1].state = named

    def on_build(self, _: Any) -> None:
        state, target = self._pop(), self._top()
        if type(target) is not Built:
            self._refuse("build", "a state for something that takes none", culprit=type(target).__name__)
        target.state = state

    def on_binpersid(self, _: Any) -> None:
        self.persistent.append(self._pop())
        self._push(Persistent(self.persistent[-1]))

    def on_tuple(self, _: Any) -> None:
        self._push(tuple(self._above_mark()))

    def on_tuple_of(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def on_list(self, _: Any) -> None:
        self._push(self._above_mark())

    def on_dict(self, _: Any) -> None:
        self._push(Pairs(_paired(self._above_mark())))

    def on_frozenset(self, _: Any) -> None:
        self._push(self._above_mark())

    def on_append(self, _: Any) -> None:
        value = self._pop()
        self._extend([value])

    def on_appends(self, _: Any) -> None:
        self._extend(self._above_mark())

    def _extend(self, values: list[Any]) -> None:
        if type(self._top()) is not list:
            raise TypeError("an append to what is no list")
        self._top().extend(values)

    def on_setitem(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set([(key, value)])

    def on_setitems(self, _: Any) -> None:
        self._set(_paired(self._above_mark()))

    def _set(self, pairs: list[tuple[Any, Any]]) -> None:
        target = self._top().items if type(self._top()) is Built else self._top()
        if type(target) is not Pairs:
            raise TypeError("an item for what is no dictionary")
        target.extend(pairs)


def _paired(values: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _shown(name: str) -> str:
    """Somebody else's text, for one line on a terminal."""
    return name[:120].encode("unicode_escape").decode("ascii")


_VALUES = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "FLOAT",
        "BINFLOAT",
    ]
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": Pairs,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_MEMO_WRITES = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_MEMO_READS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_IGNORED = frozenset(["FRAME", "STOP"])
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.on_proto,
    "MARK": _Machine.on_mark,
    "POP": _Machine.on_pop,
    "POP_MARK": _Machine.on_pop_mark,
    "DUP": _Machine.on_dup,
    "MEMOIZE": _Machine.on_memoize,
    "GLOBAL": _Machine.on_global,
    "STACK_GLOBAL": _Machine.on_stack_global,
    "INST": _Machine.on_inst,
    "OBJ": _Machine.on_obj,
    "REDUCE": _Machine.on_reduce,
    "NEWOBJ": _Machine.on_reduce,
    "NEWOBJ_EX": _Machine.on_newobj_ex,
    "BUILD": _Machine.on_build,
    "BINPERSID": _Machine.on_binpersid,
    "TUPLE": _Machine.on_tuple,
    "TUPLE1": lambda machine, _: machine.on_tuple_of(1),
    "TUPLE2": lambda machine, _: machine.on_tuple_of(2),
    "TUPLE3": lambda machine, _: machine.on_tuple_of(3),
    "LIST": _Machine.on_list,
    "DICT": _Machine.on_dict,
    "FROZENSET": _Machine.on_frozenset,
    "APPEND": _Machine.on_append,
    "APPENDS": _Machine.on_appends,
    "ADDITEMS": _Machine.on_appends,
    "SETITEM": _Machine.on_setitem,
    "SETITEMS": _Machine.on_setitems,
}
