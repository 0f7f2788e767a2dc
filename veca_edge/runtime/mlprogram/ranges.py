"""How large values become while a function runs: whether float16 holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from veca_edge.runtime.mlprogram.interpreter import Interpreter
from veca_edge.runtime.mlprogram.program import Operation, Variable
from veca_edge.runtime.mlprogram.values import Array

HALF_LARGEST = 65504.0


@dataclass(frozen=True)
class Magnitude:
    """The largest absolute value that a variable took.

    Attributes:
        name: of the variable.
        kind: of the operation that made it.
        largest: before rounding; infinite or not a number if the values were.
    """

    name: str
    kind: str
    largest: float

    @property
    def share(self) -> float:
        """Of float16's range: above 1 it overflows."""
        return self.largest / HALF_LARGEST


def largest_magnitudes(interpreter: Interpreter, inputs: Iterable[Mapping[str, Array]]) -> list[Magnitude]:
    """The largest magnitude of every float that a function computes, over several inputs, the largest first.

    Run it with precision "fp32": what has overflowed in "fp16" hides how far. Values inside of an operation (the
    scores of an attention, the sum of squares of a norm) are not seen.

    Args:
        interpreter: of the function.
        inputs: as `Interpreter.run` takes them, one after another.
    """
    found: dict[str, Magnitude] = {}

    def note(operation: Operation, variable: Variable, value: Array) -> None:
        if value.dtype.kind == "f" and value.size:
            largest, before = float(np.abs(value).max()), found.get(variable.name)
            if before is None or largest > before.largest or np.isnan(largest):
                found[variable.name] = Magnitude(variable.name, operation.kind, largest)

    for given in inputs:
        interpreter.run(given, note)
    return sorted(found.values(), key=lambda magnitude: -np.nan_to_num(magnitude.largest, nan=np.inf))
