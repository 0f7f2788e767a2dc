"""Linear layers as stored, and how their values are rounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from veca_edge.converters.recipes import Precision

GROUP = 32  # inputs that share a scale in int4
# int4 gains from scales below the largest value over 7: the few values that are cut off cost less than the step.
SHRINK = np.linspace(1.0, 0.7, 7)

Float = NDArray[np.float32]
Int8 = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Weight:
    """A linear layer: y = x @ values.T + bias.

    Attributes:
        name: of the layer.
        data: (out, in): float32, or int8 that stands for data * scale. Of int4 it holds -8..7.
        bias: float32 (out,), or None.
        scale: None of fp32; float32 (out,) of int8; (out, in / 32) of int4, every one a bfloat16 number.
        centre: float32 (in,), an input whose response rounding must keep, which it does by the bias; None for 0.
            Only of layers that are not rounded yet.
    """

    name: str
    data: NDArray[np.generic]
    bias: Float | None
    scale: Float | None = None
    centre: Float | None = None

    @property
    def precision(self) -> Precision:
        """How the matrix is stored."""
        if self.scale is None:
            return "fp32"
        return "int8" if self.scale.ndim == 1 else "int4"

    @property
    def values(self) -> Float:
        """The matrix that the layer multiplies with, float32 (out, in)."""
        data: Float = self.data.astype(np.float32, copy=False)
        if self.scale is None:
            return data
        columns = data.shape[1] if self.scale.ndim == 1 else data.shape[1] // self.scale.shape[1]
        return data * np.repeat(self.scale.reshape(len(data), -1), columns, axis=1)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the matrix, its scales and its bias in a file."""
        bias = 0 if self.bias is None else self.bias.nbytes
        scale = 0 if self.scale is None else self.scale.nbytes
        return bias + (self.data.nbytes + scale if self.precision != "int4" else (self.data.nbytes + scale) // 2)

    def rounded(self, data: Int8, scale: Float) -> Weight:
        """The layer with this rounded matrix in place of its own, its response to `centre` unchanged."""
        rounded = replace(self, data=data, scale=scale, centre=None)
        if self.centre is None or self.bias is None:
            return rounded
        lost = (self.values.astype(np.float64) - rounded.values) @ self.centre
        return replace(rounded, bias=(self.bias + lost).astype(np.float32))


Round: TypeAlias = Callable[[Weight, Precision], Weight]


def nearest(weight: Weight, precision: Precision) -> Weight:
    """Round every value to the nearest one that can be stored.

    Args:
        weight: in fp32.
        precision: what to make of it; int8 in place of int4 if the inputs are no multiple of 32.
    """
    matrix = weight.values
    if precision == "fp32":
        return replace(weight, centre=None)
    if precision == "int4" and can_be_int4(weight):
        return weight.rounded(*round_groups(matrix))
    return weight.rounded(*round_rows(matrix))


def can_be_int4(weight: Weight) -> bool:
    """Whether the inputs divide into groups."""
    return bool(weight.data.shape[1] % GROUP == 0)


def round_rows(matrix: Float) -> tuple[Int8, Float]:
    """Symmetric int8: matrix (out, in) ~ scale[:, None] * int8, in -127..127, with one scale per row."""
    scale = np.maximum(np.abs(matrix).max(axis=1), 1e-12).astype(np.float32) / 127
    return np.clip(np.rint(matrix / scale[:, None]), -127, 127).astype(np.int8), scale


def round_groups(matrix: Float, storable: Callable[[Float], Float] | None = None) -> tuple[Int8, Float]:
    """Symmetric int4: matrix (out, in) ~ scale * int8, in -8..7, with scales (out, in / 32) per group of inputs.

    Args:
        matrix: in a multiple of 32 inputs.
        storable: the scales that a file can hold, next to the given ones; bfloat16 numbers if None.
    """
    storable, groups = storable or bfloat16, matrix.reshape(len(matrix), -1, GROUP)
    largest = np.maximum(np.abs(groups).max(axis=2), 1e-12).astype(np.float32) / 7
    data, scale = np.zeros(groups.shape, np.int8), storable(largest)
    best = np.full(scale.shape, np.inf, np.float32)
    for factor in SHRINK:
        tried = storable(np.float32(factor) * largest)
        found = np.clip(np.rint(groups / tried[..., None]), -8, 7)
        error = np.square(found * tried[..., None] - groups).sum(axis=2)
        better = error < best
        best[better], scale[better], data[better] = error[better], tried[better], found[better]
    return data.reshape(matrix.shape), scale


def bfloat16(values: NDArray[np.floating]) -> Float:
    """The nearest bfloat16 numbers, as float32: the upper 16 bits, ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    bits = bits + 0x7FFF + ((bits >> 16) & 1)
    return (bits & 0xFFFF0000).astype(np.uint32).view(np.float32)
