"""Computes a function of a package in numpy, operation by operation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from veca_edge.errors import VecaError, shown
from veca_edge.files import shortened
from veca_edge.modelfile.mlprogram.package import Feature, Package
from veca_edge.modelfile.mlprogram.program import Operand, Operation, Reference, Stored, Variable
from veca_edge.modelfile.mlprogram.values import Array, TensorType, element_of, round_to_half
from veca_edge.runtime.engines.interpreter import compressed, operators
from veca_edge.runtime.engines.interpreter.work import check_work

Precision = Literal["fp32", "fp16"]
Observer: TypeAlias = Callable[[Operation, Variable, Array], object]
Operator: TypeAlias = Callable[..., "Array | tuple[Array, ...]"]

OPSETS = ("CoreML7", "CoreML8")  # of iOS 17 and iOS 18
NEWER_OPERATORS = {"constexpr_blockwise_shift_scale", "scaled_dot_product_attention"}  # of iOS 18
OPERATORS: Mapping[str, Operator] = {**operators.OPERATORS, **compressed.OPERATORS}
LISTS = ("values",)  # parameters that take several operands
MAX_BYTES = 2**32  # of all values alive at once; the largest VECA takes a third of that

# What numpy answers to operands that do not fit each other.
NUMPY_ERRORS = (ValueError, TypeError, IndexError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class _Step:
    """An operation that is ready to run: the operator, its operands, and what nobody needs after it."""

    operation: Operation
    operator: Operator
    operands: Mapping[str, tuple[Operand, ...]]
    frees: tuple[str, ...]


class Interpreter:
    """One function of a package, with its weights decompressed in memory as float32.

    Floats are held as float32. With precision "fp16", each value that the program declares as fp16 is rounded to
    float16 when its operation is done, as on a device that computes inside of an operation with more digits; with
    "fp32" nothing is rounded. Devices differ in the order of their sums, so neither is what a device gives to the
    last bit.
    """

    def __init__(self, package: Package, function: str | None = None, precision: Precision = "fp32") -> None:
        """Check the whole function and read its weights.

        Args:
            package: from `open_package`.
            function: its name; None for the package's default.
            precision: "fp32" or "fp16".

        Raises:
            VecaError: no such function, something in it that is not known here, damaged weights, or far more to
                compute than there are weights.
        """
        if precision not in get_args(Precision):
            raise VecaError(f"precision {shown(precision)}: use {' or '.join(get_args(Precision))}")
        self.package = package
        self.function = package.function(function)
        self.precision: Precision = precision
        self._features = {feature.name: feature for feature in package.inputs.get(self.function.name, ())}
        self._constants: dict[str, Array] = {}
        with self._naming():
            self._check()
            check_work(package, self.function)
            self._steps = self._prepare()

    def run(self, inputs: Mapping[str, Array], observe: Observer | None = None) -> dict[str, Array]:
        """Compute the function.

        Args:
            inputs: an array for every input: of an image uint8 (H, W, 3), RGB; else of the declared shape.
            observe: is called with every operation that computes, each variable that it makes, and the variable's
                value before it is rounded to fp16. It must not change the value.

        Returns:
            The outputs by name; floats are float32. A classifier gives its label as a text of no dimensions, and
            the probabilities (K,) in the order of its classes.

        Raises:
            VecaError: inputs that do not fit, or a program that contradicts itself.
        """
        with self._naming(), np.errstate(all="ignore"):
            values = self._inputs(inputs)
            for step in self._steps:
                results = self._compute(step, values)
                for variable, value in zip(step.operation.outputs, results, strict=True):
                    if observe is not None:
                        observe(step.operation, variable, value)
                    values[variable.name] = self._rounded(value, variable.type)
                for name in step.frees:
                    values.pop(name, None)
                self._check_memory(values)
        known = self._constants | values
        return {name: np.array(known[name]) for name in self.function.outputs}

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Errors inside name the package and the function."""
        try:
            yield
        except VecaError as error:
            raise VecaError(f"{shortened(self.package.path)}, function {self.function.name}: {error}") from None

    # -- before the first run ----------------------------------------------------------------------------------

    def _check(self) -> None:
        """Refuse what is not known, all of it in one message."""
        function = self.function
        if function.opset not in OPSETS:
            raise VecaError(f"opset {function.opset} is not supported by this interpreter: use {', '.join(OPSETS)}")
        unknown = sorted(function.operation_counts.keys() - OPERATORS.keys())
        if unknown:
            raise VecaError(f"operators that are not supported by this interpreter: {', '.join(unknown)[:200]}")
        early = sorted(function.operation_counts.keys() & NEWER_OPERATORS) if function.opset == OPSETS[0] else []
        if early:
            raise VecaError(f"operators that opset {function.opset} does not have: {', '.join(early)}")
        for variable in chain(function.inputs, *(operation.outputs for operation in function.operations)):
            if variable.type is not None:
                element_of(variable.type.element)
                _ = variable.type.size
        for operation in function.operations:
            _check_parameters(operation)
        made = [v.name for v in chain(function.inputs, *(o.outputs for o in function.operations))]
        if len(made) != len(set(made)):
            raise VecaError("two variables have one name")
        missing = [name for name in function.outputs if name not in made]
        if missing or not function.outputs:
            raise VecaError(f"it does not compute its output {', '.join(missing)[:80]}")

    def _prepare(self) -> tuple[_Step, ...]:
        """Compute all constants; the steps that are left."""
        constant = [o for o in self.function.operations if o.kind.startswith("const")]
        computed = [o for o in self.function.operations if not o.kind.startswith("const")]
        declared = sum(4 * v.type.size for o in constant for v in o.outputs if v.type is not None)
        if declared > MAX_BYTES:
            raise VecaError(f"its constants take {declared >> 20} MB of memory, more than {MAX_BYTES >> 20}")
        for operation in constant:
            step = _Step(operation, OPERATORS[operation.kind], _parameters(operation), ())
            with np.errstate(all="ignore"):
                (value,) = self._compute(step, {})
            self._constants[operation.outputs[0].name] = self._rounded(value, operation.outputs[0].type)
        self._constant_bytes = sum(value.nbytes for value in self._constants.values())
        last: dict[str, int] = {}
        for index, operation in enumerate(computed):
            names = [o.name for o in operation.operands if isinstance(o, Reference)]
            last.update(dict.fromkeys(chain(names, (v.name for v in operation.outputs)), index))
        frees: list[list[str]] = [[] for _ in computed]
        for name, index in last.items():
            if name not in self.function.outputs and name not in self._constants:
                frees[index].append(name)
        return tuple(
            _Step(o, OPERATORS[o.kind], self._ready(o), tuple(free))
            for o, free in zip(computed, frees, strict=True)
        )

    def _ready(self, operation: Operation) -> Mapping[str, tuple[Operand, ...]]:
        """An operation's operands, stored ones read."""
        return {
            name: tuple(self._operand(o, {}) if isinstance(o, Stored) else o for o in operands)
            for name, operands in _parameters(operation).items()
        }

    # -- while running -----------------------------------------------------------------------------------------

    def _inputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        names = [variable.name for variable in self.function.inputs]
        if set(inputs) != set(names):
            given = ", ".join(inputs) or "none"
            raise VecaError(f"it takes the inputs {', '.join(names)}, not {given}")
        return {
            variable.name: self._rounded(_input(inputs[variable.name], variable, self._features), variable.type)
            for variable in self.function.inputs
        }

    def _compute(self, step: _Step, values: Mapping[str, Array]) -> tuple[Array, ...]:
        """An operation's results, checked against what the program declares."""
        operation = step.operation
        try:
            arguments: dict[str, Any] = {}
            for name, operands in step.operands.items():
                read = [self._operand(operand, values) for operand in operands]
                arguments[name] = read if name in LISTS else read[0]
            results = step.operator(**arguments)
            results = results if isinstance(results, tuple) else (results,)
            if len(results) != len(operation.outputs):
                raise VecaError(f"{len(results)} results, the program declares {len(operation.outputs)}")
            for variable, value in zip(operation.outputs, results, strict=True):
                _check_type(value, variable)
            return results
        except MemoryError:
            raise VecaError(f"{_title(operation)}: not enough memory") from None
        except (VecaError, *NUMPY_ERRORS) as error:
            raise VecaError(f"{_title(operation)}: {error}") from None

    def _operand(self, operand: Operand, values: Mapping[str, Array]) -> Array:
        """An operand's value; floats as float32."""
        if isinstance(operand, Reference):
            value = values.get(operand.name, self._constants.get(operand.name))
            if value is None:
                raise VecaError(f"it reads {operand.name[:80]}, which no earlier operation computes")
            return value
        array = self.package.read(operand) if isinstance(operand, Stored) else operand
        return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array

    def _rounded(self, value: Array, tensor: TensorType | None) -> Array:
        """A value in the digits that the program declares for it."""
        if value.dtype.kind != "f":
            return value
        if self.precision == "fp16" and tensor is not None and tensor.element == "fp16":
            return round_to_half(value.astype(np.float32, copy=False))
        return value.astype(np.float32, copy=False)

    def _check_memory(self, values: Mapping[str, Array]) -> None:
        if self._constant_bytes + sum(value.nbytes for value in values.values()) > MAX_BYTES:
            raise VecaError(f"it takes more than {MAX_BYTES >> 20} MB of memory")


def _parameters(operation: Operation) -> dict[str, tuple[Operand, ...]]:
    """Operands by parameter; constants, and up to iOS 17 compressed ones too, have theirs as attributes."""
    return dict(operation.inputs) | {name: (value,) for name, value in operation.attributes.items()}


def _check_parameters(operation: Operation) -> None:
    """Whether the operator is known with these parameters.

    Raises:
        VecaError: it has blocks, attributes or parameters that are not known, or lacks one.
    """
    if operation.nested:
        raise VecaError(
            f"{_title(operation)}: operations with blocks of their own are not supported by this interpreter"
        )
    if operation.attributes and not operation.kind.startswith("const"):
        names = ", ".join(operation.attributes)
        raise VecaError(f"{_title(operation)}: attributes that are not supported by this interpreter: {names[:80]}")
    parameters = _parameters(operation)
    try:
        inspect.signature(OPERATORS[operation.kind]).bind(**parameters)
    except TypeError as error:
        raise VecaError(f"{_title(operation)}: this form is not supported by this interpreter: {error}") from None
    for name, operands in parameters.items():
        if not operands or (len(operands) > 1 and name not in LISTS):
            raise VecaError(f"{_title(operation)}: {len(operands)} operands for {name}")


def _check_type(value: Array, variable: Variable) -> None:
    """Whether a computed value is of the type that the program declares."""
    if variable.type is None:
        return
    declared = element_of(variable.type.element).dtype
    same = value.dtype.kind == declared.kind and (value.dtype.kind in "fU" or value.dtype == declared)
    if value.shape != variable.type.shape or not same:
        raise VecaError(f"it gives {value.dtype} {value.shape}, the program declares {variable.type}")


def _input(value: Array, variable: Variable, features: Mapping[str, Feature]) -> Array:
    """An input as the program computes with it."""
    feature, tensor = features.get(variable.name), variable.type
    if tensor is None:
        raise VecaError(f"input {variable.name} is not a tensor")
    if feature is not None and feature.kind == "image":
        return _image(value, feature, tensor)
    declared = element_of(tensor.element).dtype
    value = np.asarray(value)
    if value.shape != tensor.shape or value.dtype.kind != declared.kind:
        raise VecaError(f"input {variable.name} is {value.dtype} {value.shape}, expected {tensor}")
    return value.astype(np.float32 if declared.kind == "f" else declared)


def _image(value: Array, feature: Feature, tensor: TensorType) -> Array:
    """uint8 (H, W, 3) as float32 (1, 3, H, W), 0..255: what the system makes of a picture."""
    height, width = feature.shape
    if feature.element not in ("RGB", "BGR") or tensor.shape != (1, 3, height, width):
        raise VecaError(
            f"input {feature.name}: {feature.element} images of {tensor} are not supported by this interpreter"
        )
    if value.shape != (height, width, 3) or value.dtype != np.uint8:
        raise VecaError(f"input {feature.name} is {value.dtype} {value.shape}, expected uint8 {(height, width, 3)}")
    channels = value if feature.element == "RGB" else value[..., ::-1]
    return np.ascontiguousarray(channels.transpose(2, 0, 1)[None], np.float32)


def _title(operation: Operation) -> str:
    """For messages: which operation."""
    return f"{operation.kind} {operation.outputs[0].name[:80]}" if operation.outputs else operation.kind
