"""What a pickle would build, found without building it: of bounded depth and size, and nothing but plain tensors.

torch's restricted loader executes no foreign code, but it trusts numbers: a few bytes make it allocate gigabytes,
nest tuples until the process crashes, or share lists so that printing one takes years. So every pickle is first
gone through with the sizes alone.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from mmap import mmap
from typing import IO, Any, cast

import torch

from veca_edge.errors import VecaError, shown

MAX_OPERATIONS = 2_000_000  # of a pickle; one with weights takes 20 for each tensor
MAX_DEPTH = 64  # of what it builds; a training run's state takes 12
MAX_SIZE = 1 << 22  # values that it builds, each counted as often as it is reached
_TEXT = 16  # characters that count as one value
DAMAGED = "not a PyTorch checkpoint, or a damaged one; copy it again or save it with torch.save"
MORE = "claims to hold more values than its size: it is cut short or damaged; copy the file again"

# The names torch's restricted loader needs to rebuild tensors; anything else in a pickle is somebody's code.
_TENSOR_MODULES = (
    "torch._utils.",
    "torch._tensor.",
    "torch.storage.",
    "torch.nn.parameter.",
    "torch.serialization._get_layout",
    "_codecs.encode",
)
_PLAIN_TYPES = ("set", "bytearray", "complex", "OrderedDict", "Counter", "defaultdict", "Size", "device")
# How tensors with data are called for: where their arguments name the data type, if not the storage does.
_TENSORS = {
    "torch._utils._rebuild_tensor": None,
    "torch._utils._rebuild_tensor_v2": None,
    "torch._utils._rebuild_tensor_v3": 6,
}
# Bytes of an element, by what is before "Storage".
_WIDTHS = {
    **dict.fromkeys(("Untyped", "Byte", "Char", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
_HARMLESS_CALLS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch.serialization._get_layout",
    "torch.Size",
    "torch.device",
    "collections.OrderedDict",
    "collections.Counter",
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "complex")),
)


@dataclass(eq=False, slots=True)
class _Value:
    """A value that would be built: its depth and size, and what of it decides about memory."""

    depth: int = 0
    size: int = 1
    content: Any = None  # a number, a text, the values of a tuple, a `_Name` or a `_Storage`
    held: bool = False  # by another value: then it must not change any more


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass(frozen=True)
class _Storage:
    count: int
    width: int  # bytes of an element

    @property
    def nbytes(self) -> int:
        return self.count * self.width


@dataclass
class Budget:
    """What storages a pickle may ask for.

    Attributes:
        sizes: bytes by the storage's key, of archives; None for a file in which storages follow their pickle.
        total: bytes of all storages together.
    """

    total: int
    sizes: Mapping[str, int] | None = None
    known: dict[Any, _Storage] = field(default_factory=dict)

    def storage(self, values: Sequence[_Value]) -> _Storage:
        """The storage of a persistent id: the first one of its key, as torch has it."""
        contents = [value.content for value in values]
        if len(contents) < 5 or contents[0] != "storage" or any(value is not None for value in contents[5:]):
            raise VecaError(DAMAGED)
        key, count, width = contents[2], contents[4], _width(contents[1])
        if type(count) is not int or count < 0 or not isinstance(key, (str, int)):
            raise VecaError(DAMAGED)
        if key not in self.known:
            storage = _Storage(count, width)
            room = self.total if self.sizes is None else self.sizes.get(str(key), -1)
            self.total -= storage.nbytes
            if storage.nbytes > room or self.total < 0:
                raise VecaError(MORE)
            self.known[key] = storage
        return self.known[key]


def check_names(pickle: bytes | mmap) -> None:
    """Raise a VecaError for names in a pickle that have nothing to do with tensors: somebody's code."""
    foreign = list(_foreign_names(pickle))
    if not foreign:
        return
    what = shown(foreign[0]).strip("'\"")
    if any(name.startswith("torch.nn.modules.") for name in foreign):
        raise VecaError(
            f"refused: it holds a whole pickled module with its code ({what}) that loading would execute; save "
            "model.state_dict() with torch.save"
        )
    raise VecaError(
        f"refused: it contains pickled code ({what}) that loading would execute; save only tensors, numbers and "
        "text with torch.save"
    )


def _foreign_names(pickle: bytes | mmap) -> Iterator[str]:
    """As far as the pickle is whole, or could be one."""
    strings = ["", ""]
    with suppress(ValueError, EOFError, MemoryError, OverflowError):
        for operation, argument, _ in islice(_operations(pickle), MAX_OPERATIONS):
            if operation.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
                parts = strings if operation.name == "STACK_GLOBAL" else str(argument).split(" ")
                if len(parts) != 2 or not all(part.replace(".", "_").isidentifier() for part in parts):
                    return
                if not _is_harmless(".".join(parts)):
                    yield ".".join(parts)
            elif isinstance(argument, str):
                strings = [strings[1], argument]


def _operations(pickle: bytes | mmap) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    return pickletools.genops(cast(IO[bytes], pickle))  # a mapped file reads like one


def check_pickle(pickle: bytes | mmap, budget: Budget) -> Any:
    """Raise a VecaError unless loading a pickle takes memory and time in proportion to its file.

    Args:
        pickle: the bytes, or a mapped file at its beginning, which is left at its end.
        budget: the storages that there can be.

    Returns:
        The number or text that it is; something else of what is more than that.
    """
    machine = _Machine(budget)
    try:
        for count, (operation, argument, position) in enumerate(_operations(pickle)):
            if count > MAX_OPERATIONS:
                raise VecaError(f"its pickle has more than {MAX_OPERATIONS} operations; save only the weights")
            machine.step(operation.name, argument, position or 0)
        return machine.result.content
    except (ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise VecaError(_cut_short(error)) from None


def _cut_short(error: Exception) -> str:
    ends = ("exhausted", "not enough data", "remain", "no newline")
    if isinstance(error, (ValueError, EOFError)) and any(word in str(error) for word in ends):
        return f"the file is cut short, or {DAMAGED}"
    return DAMAGED


class _Machine:
    """The stack of values that torch's loader would have; what torch does not know is refused here, too."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._stack: list[_Value] = []
        self._marks: list[list[_Value]] = []
        self._memo: dict[int, _Value] = {}

    def step(self, name: str, argument: Any, position: int) -> None:
        """Take one operation."""
        stack = self._stack
        if name in _LEAVES:
            length = len(argument) // _TEXT if isinstance(argument, (str, bytes)) else 0
            stack.append(_Value(0, 1 + length, argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            if argument > position:
                raise VecaError(DAMAGED)
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "GLOBAL":
            stack.append(_Value(content=_Name(argument.replace(" ", ".").replace("__builtin__", "builtins"))))
        elif name == "MARK":
            self._marks.append(stack)
            self._stack = []
        elif name in _TUPLES:
            parts = self._pop_mark() if name == "TUPLE" else self._pop(_TUPLES[name])
            made = self._grow(_Value(), parts)
            made.content = tuple(parts)
            self._stack.append(made)
        elif name in _EMPTY:
            stack.append(_Value(content=() if name == "EMPTY_TUPLE" else None))
        elif name in ("APPENDS", "SETITEMS"):
            parts = self._pop_mark()
            self._grow(self._stack[-1], parts)
        elif name in ("APPEND", "SETITEM"):
            parts = self._pop(1 if name == "APPEND" else 2)
            self._grow(stack[-1], parts)
        elif name == "BUILD":
            self._build()
        elif name == "BINPERSID":
            (identity,) = self._pop(1)
            stack.append(_Value(content=self._budget.storage(identity.content)))
        elif name == "REDUCE":
            function, arguments = self._pop(2)
            result = self._call(function.content, arguments.content)
            stack.append(self._grow(_Value(content=result), [arguments]))
        elif name not in ("PROTO", "STOP"):
            raise VecaError(DAMAGED)

    @property
    def result(self) -> _Value:
        """What the pickle is, at its end."""
        return self._stack[-1]

    def _pop(self, count: int) -> list[_Value]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def _pop_mark(self) -> list[_Value]:
        parts, self._stack = self._stack, self._marks.pop()
        return parts

    def _grow(self, value: _Value, parts: Sequence[_Value]) -> _Value:
        """Put parts into a value; none that lies in another one already, which might be a ring."""
        if value.held and parts:
            raise VecaError("it holds a value that lies within itself; save plain tensors, numbers and text")
        for part in parts:
            part.held = True
            value.depth = max(value.depth, part.depth + 1)
            value.size += part.size
        if value.depth > MAX_DEPTH or value.size > MAX_SIZE:
            raise VecaError("its values lie in each other too deep or too often; save plain tensors and text")
        return value

    def _build(self) -> None:
        """Attributes, which only dictionaries may have: torch hangs version numbers on them."""
        (state,) = self._pop(1)
        if self._stack[-1].content != "collections.OrderedDict":
            raise VecaError(DAMAGED)
        self._grow(self._stack[-1], [state])

    def _call(self, function: Any, arguments: Any) -> Any:
        """What a function gives; a VecaError for one that could take memory, or is not of plain tensors."""
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise VecaError(DAMAGED)
        contents = [value.content for value in arguments]
        if function.text in _TENSORS:
            _check_tensor(contents, _TENSORS[function.text])
        elif function.text == "torch._tensor._rebuild_from_type_v2":
            self._call(contents[0], contents[2])
        elif function.text == "_codecs.encode":
            if contents[1:] != ["latin1"]:
                raise VecaError(DAMAGED)
        elif function.text == "builtins.bytearray":
            if any(isinstance(content, int) for content in contents):
                raise VecaError(MORE)
        elif function.text not in _HARMLESS_CALLS:
            raise VecaError(f"holds {shown(function.text)}, which is no plain tensor; save dense tensors only")
        return function.text


_LEAVES = (
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"),
    *("BINUNICODE", "SHORT_BINSTRING"),
)
_TUPLES = {"TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY = ("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET")


def _check_tensor(arguments: Sequence[Any], type_at: int | None) -> None:
    """Whether a tensor lies within its storage: torch would make the storage larger."""
    storage, offset, shape, strides = arguments[:4]
    sides, steps = (_integers(value) for value in (shape, strides))
    if not isinstance(storage, _Storage) or type(offset) is not int or offset < 0 or len(sides) != len(steps):
        raise VecaError(DAMAGED)
    width = storage.width if type_at is None else _width(arguments[type_at])
    last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    if all(sides) and (last + 1) * width > storage.nbytes:
        raise VecaError("it holds a tensor with more values than there are in the file; save it contiguous")


def _integers(values: Any) -> list[int]:
    numbers = [value.content for value in values]
    if any(type(number) is not int or not 0 <= number < 2**62 for number in numbers):
        raise VecaError(DAMAGED)
    return numbers


def _width(name: Any) -> int:
    """Bytes of an element, of a storage type or a data type by name."""
    text = name.text.rpartition(".")[2] if isinstance(name, _Name) else ""
    kind = getattr(torch, text, None) if text else None
    width = kind.itemsize if isinstance(kind, torch.dtype) else _WIDTHS.get(text.removesuffix("Storage"))
    if width is None:
        raise VecaError(DAMAGED)
    return int(width)


def _is_harmless(name: str) -> bool:
    module, _, last = name.rpartition(".")
    if module in ("builtins", "__builtin__", "collections", "torch") and last in _PLAIN_TYPES:
        return True
    # Storage types, as torch.FloatStorage, and dtypes, as torch.float16.
    is_type = last.endswith("Storage") or isinstance(getattr(torch, last, None), torch.dtype)
    return (module == "torch" and is_type) or name.startswith(_TENSOR_MODULES)
