"""An ML program as plain values: functions, operations, variables, constants. Read from protobuf, and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from veca_edge.errors import VecaError, shown
from veca_edge.modelfile.mlprogram.values import Array, TensorType, checked_size, element_name, element_of, unpack

PROGRAM_VERSION = 1


@dataclass(frozen=True)
class Stored:
    """A constant tensor in a weight file.

    Attributes:
        type: what it is.
        file: as the program names it: "@model_path/weights/weight.bin".
        offset: of its metadata.
    """

    type: TensorType
    file: str
    offset: int


@dataclass(frozen=True)
class Reference:
    """The variable of that name."""

    name: str


Operand: TypeAlias = "Reference | Stored | Array"


@dataclass(frozen=True)
class Variable:
    """A value of a function by name; `type` is None for what is no tensor (a classifier's probabilities)."""

    name: str
    type: TensorType | None


@dataclass(frozen=True, eq=False)
class Operation:
    """One step of a function.

    Attributes:
        kind: "linear", "const", ...
        inputs: operands by parameter name; most parameters have one, `values` of a concat has several.
        attributes: constants by name, without the operation's own name.
        outputs: what it makes.
        nested: whether it holds blocks of its own (loops and conditions).
    """

    kind: str
    inputs: Mapping[str, tuple[Operand, ...]]
    attributes: Mapping[str, Operand]
    outputs: tuple[Variable, ...]
    nested: bool = False

    @property
    def operands(self) -> Iterator[Operand]:
        """Everything that it reads."""
        return chain(chain.from_iterable(self.inputs.values()), self.attributes.values())


@dataclass(frozen=True, eq=False)
class Function:
    """A function of a program.

    Attributes:
        name: for example "main" or "cores_8".
        opset: which operators it is written in: "CoreML7" is iOS 17's, "CoreML8" iOS 18's.
        inputs: its parameters.
        operations: in the order of computation.
        outputs: names of the variables that it returns.
    """

    name: str
    opset: str
    inputs: tuple[Variable, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]

    @cached_property
    def operation_counts(self) -> Counter[str]:
        """How many operations of each kind."""
        return Counter(operation.kind for operation in self.operations)

    @cached_property
    def stored(self) -> frozenset[Stored]:
        """The constants that it reads from weight files."""
        operands = chain.from_iterable(operation.operands for operation in self.operations)
        return frozenset(operand for operand in operands if isinstance(operand, Stored))


def read_program(program: Any) -> dict[str, Function]:
    """The functions of a `MILSpec.Program` message, by name.

    Raises:
        VecaError: of another version, or contradicting itself.
    """
    if program.version != PROGRAM_VERSION:
        raise VecaError(f"a program of version {program.version}, expected {PROGRAM_VERSION}")
    if not program.functions:
        raise VecaError("a program without functions")
    return {_name(name): _function(name, program.functions[name]) for name in sorted(program.functions)}


def _function(name: str, function: Any) -> Function:
    opset = _name(function.opset)
    if opset not in function.block_specializations:
        raise VecaError(f"function {name} has no program for its opset {opset}")
    block = function.block_specializations[opset]
    return Function(
        name=name,
        opset=opset,
        inputs=tuple(_variable(entry) for entry in function.inputs),
        operations=tuple(_operation(entry) for entry in block.operations),
        outputs=tuple(_name(output) for output in block.outputs),
    )


def _operation(entry: Any) -> Operation:
    inputs = entry.inputs
    attributes = entry.attributes
    return Operation(
        kind=_name(entry.type),
        inputs={key: tuple(_binding(binding) for binding in inputs[key].arguments) for key in inputs},
        attributes={key: _constant(attributes[key]) for key in attributes if key != "name"},
        outputs=tuple(_variable(output) for output in entry.outputs),
        nested=bool(entry.blocks),
    )


def _binding(binding: Any) -> Operand:
    return Reference(_name(binding.name)) if binding.WhichOneof("binding") == "name" else _constant(binding.value)


def _variable(entry: Any) -> Variable:
    tensor = entry.type.WhichOneof("type") == "tensorType"
    return Variable(_name(entry.name), _tensor_type(entry.type.tensorType) if tensor else None)


def _tensor_type(message: Any) -> TensorType:
    shape = tuple(
        int(side.constant.size) if side.WhichOneof("dimension") == "constant" else -1 for side in message.dimensions
    )
    if message.rank not in (len(shape), -1):
        raise VecaError(f"a tensor of rank {message.rank} with {len(shape)} sizes")
    return TensorType(element_name(message.dataType), shape)


def _constant(value: Any) -> Operand:
    """A constant: an array, or where it is stored. Lists become arrays of one dimension."""
    kind = value.type.WhichOneof("type")
    if kind == "listType":
        items = [_constant(item) for item in value.immediateValue.list.values]
        arrays = [item for item in items if isinstance(item, np.ndarray) and item.ndim == 0]
        if len(arrays) != len(items):
            raise VecaError("a list that holds more than single values")
        return np.array([array.item() for array in arrays])
    if kind != "tensorType":
        raise VecaError(f"a constant that is a {kind}, not a tensor")
    tensor = _tensor_type(value.type.tensorType)
    if value.WhichOneof("value") == "blobFileValue":
        return Stored(tensor, value.blobFileValue.fileName, int(value.blobFileValue.offset))
    return _immediate(value.immediateValue.tensor, tensor)


def _immediate(message: Any, tensor: TensorType) -> Array:
    """A constant that is written down in the program itself."""
    kind = message.WhichOneof("value")
    if kind is None and checked_size(tensor.shape):
        raise VecaError(f"a constant without a value ({tensor})")
    if kind == "bytes":
        return unpack(message.bytes.values, tensor)
    dtype = element_of(tensor.element).dtype
    values = () if kind is None else getattr(message, kind).values
    if (kind == "strings") != (tensor.element == "string") or len(values) != checked_size(tensor.shape):
        raise VecaError(f"a constant whose value is not of its type ({tensor})")
    try:
        return np.array(list(values), dtype).reshape(tensor.shape)
    except (OverflowError, ValueError):
        raise VecaError(f"a constant whose value is not of its type ({tensor})") from None


def _name(text: str) -> str:
    """A name, if it can be shown to people."""
    if not text or not text.isprintable():
        raise VecaError(f"an invalid name: {shown(text)}")
    return text
