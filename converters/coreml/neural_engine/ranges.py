"""How large and how small values become while a function runs: whether float16 holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from veca_edge.modelfile.mlprogram.program import Operation, Variable
from veca_edge.modelfile.mlprogram.values import HALF_NORMAL, HALF_OVERFLOW, Array

HALF_LARGEST = 65504.0
# The largest value of a variable differed by up to 3.4 times between the packaged photos in the packaged model, so
# one that comes within 4 times of the end may pass it on the next picture.
NEAR_OVERFLOW = 0.25
BEFORE, AFTER, WHOLE = "before the layers", "after the layers", "all operations"


@dataclass(frozen=True)
class Magnitude:
    """How large and how small a variable's values were.

    Attributes:
        name: of the variable.
        kind: of the operation that made it.
        largest: absolute value before rounding; infinite or not a number if the values were.
        values: how many there were that are not zero.
        tiny: of them, those below 2^-14 (6.1e-5): float16 holds them with fewer digits, or makes them zero.
    """

    name: str
    kind: str
    largest: float
    values: int = 0
    tiny: int = 0

    @property
    def share(self) -> float:
        """Of float16's range: above 1 it overflows."""
        return self.largest / HALF_LARGEST

    @property
    def tiny_share(self) -> float:
        """Of the values that are not zero, 0..1."""
        return self.tiny / self.values if self.values else 0.0

    @property
    def state(self) -> str:
        """Whether float16 holds it: "fits", "near overflow" or "overflows", which is also what is not a number."""
        if not self.largest < HALF_OVERFLOW:
            return "overflows"
        return "near overflow" if self.share >= NEAR_OVERFLOW else "fits"


@dataclass(frozen=True)
class LayerRange:
    """A layer's extremes.

    Attributes:
        layer: "layer 0", ..., or what lies before and after them.
        largest: the variable with the largest value.
        tiniest: the variable with the largest share of tiny values.
    """

    layer: str
    largest: Magnitude
    tiniest: Magnitude


class Ranges:
    """Watches runs of one function: pass `note` to `Interpreter.run` as `observe`.

    Run with precision "fp32": what has overflowed in "fp16" hides how far. Values inside of an operation (the
    scores of an attention, the sum of squares of a norm) are not seen.
    """

    def __init__(self, small: bool = True, names: Mapping[str, str] = MappingProxyType({})) -> None:
        """
        Args:
            small: whether to count small values too, which takes most of the time.
            names: what variables are to be called, where that is not what the program calls them.
        """
        self._small, self._names = small, names
        self._found: dict[str, Magnitude] = {}

    def note(self, operation: Operation, variable: Variable, value: Array) -> None:
        """Take one value of a variable into account; only floats count."""
        if value.dtype.kind != "f" or not value.size:
            return
        largest = np.maximum(value.max(), -value.min())  # keeps what is not a number
        values, tiny = _counts(value) if self._small else (0, 0)
        name = self._names.get(variable.name, variable.name)
        before = self._found.get(name, Magnitude(name, operation.kind, 0.0))
        self._found[name] = replace(
            before,
            largest=float(np.maximum(before.largest, largest)),
            values=before.values + values,
            tiny=before.tiny + tiny,
        )

    @property
    def magnitudes(self) -> list[Magnitude]:
        """Of every variable, in the order of computation."""
        return list(self._found.values())

    def layers(self) -> list[LayerRange]:
        """The extremes of every layer, in the order of computation.

        Variables belong to the layer that their name begins with ("l3_rotated"); in a package with other names
        there is one group of all.
        """
        groups: dict[str, list[Magnitude]] = {}
        layered = any(map(_layer, self._found))
        for magnitude in self._found.values():
            layer = _layer(magnitude.name)
            if layer is None:
                layer = (AFTER if any(map(_is_layer, groups)) else BEFORE) if layered else WHOLE
            groups.setdefault(layer, []).append(magnitude)
        return [
            LayerRange(layer, max(members, key=_size), max(members, key=lambda member: member.tiny_share))
            for layer, members in groups.items()
        ]


def _counts(value: Array) -> tuple[int, int]:
    """How many values are not zero, and how many of those are below float16's normal range."""
    values = int(np.count_nonzero(value))
    below = int(np.count_nonzero(np.abs(value) < HALF_NORMAL))
    return values, below - (value.size - values)


def _layer(name: str) -> str | None:
    """The layer by a variable's name, as `veca_edge.converters.coreml.functions` gives them."""
    match = re.match(r"l(\d{1,4})_", name, re.ASCII)
    return f"layer {match[1]}" if match else None


def _is_layer(group: str) -> bool:
    return group not in (BEFORE, AFTER, WHOLE)


def _size(magnitude: Magnitude) -> float:
    """For sorting: what is not a number is the largest."""
    return float(np.nan_to_num(magnitude.largest, nan=np.inf))
