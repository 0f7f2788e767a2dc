"""What a function takes to compute, from its declared types alone: a package from anywhere could ask for hours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.package import Package
from veca_edge.modelfile.mlprogram.program import Function, Operation, Reference, Stored
from veca_edge.modelfile.mlprogram.values import TensorType

FREE = 2**33  # products of two numbers that any package may take: seconds
BY_SIZE = (
    1 / 16
)  # more for each byte of weights and each number of the inputs; a VECA with 4 px patches takes a 24th
ELEMENT = 16  # what it takes to compute one element otherwise, in products

Shape = tuple[int, ...]


def check_work(package: Package, function: Function) -> None:
    """Raise a VecaError if a function takes far more than its weights and inputs explain."""
    variables = chain(function.inputs, *(operation.outputs for operation in function.operations))
    types = {variable.name: variable.type for variable in variables}
    weights = sum(file.size for file in package.weights.values())
    inputs = sum(variable.type.size for variable in function.inputs if variable.type is not None)
    allowed = FREE + BY_SIZE * weights * inputs
    if sum(_work(operation, types) for operation in function.operations) > allowed:
        raise VecaError("it would take far longer to compute than a model with so few weights: not interpreted")


def _work(operation: Operation, types: Mapping[str, TensorType | None]) -> int:
    """Products of two numbers, about."""
    made = sum(variable.type.size for variable in operation.outputs if variable.type is not None)
    shapes = {name: _shape(operation, name, types) for name in operation.inputs}
    x = shapes.get("x", ())
    if operation.kind == "linear":
        return made * (ELEMENT + (x[-1] if x else 1))
    if operation.kind == "matmul":
        return made * (ELEMENT + max(x[-2:], default=1))
    if operation.kind == "conv":
        return made * (ELEMENT + math.prod(shapes.get("weight", ())[1:]))
    if operation.kind == "scaled_dot_product_attention":
        query, keys = shapes.get("query", ()), shapes.get("key", ())[-2:-1]
        return (made + math.prod(query)) * (ELEMENT + math.prod(keys))
    return made * ELEMENT


def _shape(operation: Operation, name: str, types: Mapping[str, TensorType | None]) -> Shape:
    """The shape of an operand; () if it has none."""
    operand = next(iter(operation.inputs[name]), None)
    if isinstance(operand, Reference):
        found = types.get(operand.name)
        return () if found is None else found.shape
    if isinstance(operand, Stored):
        return operand.type.shape
    return () if operand is None else operand.shape
