"""Better rounding than to the nearest value: what a layer sees of real images decides how its weights are rounded.

Two things, both measured to help (`tests/calibration/quantization/test_rounding.py` holds them to it):

- A scale is as small as serves the inputs best: cutting the largest weights off can cost less than coarse steps.
- Columns are rounded one after another, and what one loses the others make up for, as far as the inputs are
  correlated ("GPTQ", arXiv 2210.17323); the columns whose inputs are largest come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.calibration.quantization.emulation import Emulation, batches
from veca_edge.converters.graph.weights import GROUP, Float, Round, Weight, bfloat16, can_be_int4, nearest
from veca_edge.converters.recipes import Precision
from veca_edge.errors import VecaError

CUTS = np.linspace(1, 0.6, 17)  # of the largest value of a row or group: what the largest step stands for
LIMITS = {"int8": (-127, 127), "int4": (-8, 7)}
DAMPING = 0.01  # of the mean square, added to every input's own: few images tell little of rare directions
TOGETHER = 64  # columns that are rounded before the others hear of it
ROWS = 16_384  # inputs per layer that tell enough

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of a layer's inputs.

    Attributes:
        mean: float64 (in,).
        second: float64 (in, in), mean product of every two inputs.
    """

    mean: Array
    second: Array

    def about(self, centre: Float | None) -> Array:
        """Mean product of every two inputs' deviations from `centre` (in,), None for 0: float64 (in, in)."""
        if centre is None:
            return self.second
        crossed = np.outer(centre.astype(np.float64), self.mean)
        return np.asarray(self.second - crossed - crossed.T + np.outer(centre, centre), np.float64)


def read_same_inputs(layer: str) -> str:
    """The first of the layers that read the same inputs as this one."""
    block, _, part = layer.rpartition(".")
    first = {"odd": "even", "value": "even", "up": "gate"}.get(part)
    return layer if first is None else f"{block}.{first}"


def measure_moments(
    emulation: Emulation,
    images: NDArray[np.uint8],
    budgets: tuple[int, ...],
) -> dict[str, Moments]:
    """What every layer sees of images, the budgets alternating batch by batch.

    Args:
        emulation: of the model in float32.
        images: uint8 (n, H, W, 3), RGB; no more are used than tell enough.
        budgets: core counts; what is learned serves them all.

    Returns:
        By layer; layers that read the same inputs share a value.
    """
    sums, patch_size = _Sums(), emulation.config.patch_size
    for index, batch in enumerate(batches(images, patch_size)):
        emulation(batch, budgets[index % len(budgets)], sums)
        if sums.least >= ROWS and index + 1 >= len(budgets):
            break
    found = sums.moments()
    return {layer: found[read_same_inputs(layer)] for layer in emulation.layers}


def learned_rounding(moments: Mapping[str, Moments]) -> Round:
    """Rounding for `veca_edge.converters.graph.folding.quantize` that serves the inputs that were seen."""

    def round(weight: Weight, precision: Precision) -> Weight:
        if precision == "fp32":
            return nearest(weight, precision)
        kind: Precision = precision if can_be_int4(weight) else "int8"
        return reconstructed(weight, kind, moments[weight.name])

    return round


def reconstructed(weight: Weight, precision: Precision, seen: Moments) -> Weight:
    """Round a layer so that what it answers to such inputs changes least.

    Args:
        weight: in fp32, (out, in).
        precision: "int8" or "int4".
        seen: its inputs.
    """
    matrix, products = weight.values.astype(np.float64), seen.about(weight.centre)
    scale = _best_scale(matrix, np.diag(products), precision)
    steps = np.repeat(scale.reshape(len(matrix), -1), matrix.shape[1] * len(matrix) // scale.size, axis=1)
    data = _compensated(matrix, steps.astype(np.float64), products, LIMITS[precision])
    return weight.rounded(data.astype(np.int8), scale)


def _best_scale(matrix: Array, squares: Array, precision: Precision) -> Float:
    """Of several scales the one with the least error, inputs counting by their mean squares (in,).

    Returns:
        (out,) of int8, (out, in / 32) of int4.
    """
    least, most = LIMITS[precision]
    groups = matrix.shape[1] // GROUP if precision == "int4" else 1
    values, counts = matrix.reshape(len(matrix), groups, -1), squares.reshape(1, groups, -1)
    peak = np.maximum(np.abs(values).max(axis=2), 1e-12) / most
    best, lowest = peak.astype(np.float32), np.full(peak.shape, np.inf)
    for cut in CUTS:
        scale = bfloat16(cut * peak) if precision == "int4" else (cut * peak).astype(np.float32)
        rounded = np.clip(np.rint(values / scale[..., None]), least, most) * scale[..., None]
        error = ((rounded - values) ** 2 * counts).sum(axis=2)
        best, lowest = np.where(error < lowest, scale, best), np.minimum(error, lowest)
    found: Float = best if precision == "int4" else best[:, 0]
    return found


def _compensated(matrix: Array, steps: Array, products: Array, limits: tuple[int, int]) -> Array:
    """Whole numbers of steps (out, in), rounded column by column, the loss handed on to those that follow."""
    order = np.argsort(-np.diag(products), kind="stable")
    known = products[np.ix_(order, order)]
    known[np.diag_indices_from(known)] += DAMPING * np.diag(known).mean() + 1e-12
    # The upper factor of the inverse: its row j says how the columns after j make up for an error in j.
    factor = np.linalg.cholesky(np.linalg.inv(known)).T
    rest, width = np.ascontiguousarray(matrix[:, order].T), np.ascontiguousarray(steps[:, order].T)
    whole = np.empty_like(rest)
    for start in range(0, len(rest), TOGETHER):
        end = min(start + TOGETHER, len(rest))
        errors = np.empty((end - start, rest.shape[1]))
        for row in range(start, end):
            whole[row] = np.clip(np.rint(rest[row] / width[row]), *limits)
            errors[row - start] = (rest[row] - whole[row] * width[row]) / factor[row, row]
            rest[row:end] -= np.outer(factor[row, row:end], errors[row - start])
        rest[end:] -= factor[start:end, end:].T @ errors
    result = np.empty_like(matrix)
    result[:, order] = whole.T
    return result


class _Sums:
    """Adds inputs up; a `Watch`."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._first: dict[str, Tensor] = {}
        self._second: dict[str, Tensor] = {}

    def __call__(self, layer: str, inputs: Tensor) -> None:
        rows = inputs.flatten(0, 1)
        self._rows[layer] = self._rows.get(layer, 0) + len(rows)
        self._first[layer] = self._first.get(layer, 0) + rows.sum(0, dtype=torch.float64)
        self._second[layer] = self._second.get(layer, 0) + (rows.T @ rows).double()

    @property
    def least(self) -> int:
        """Rows that every layer has seen."""
        return min(self._rows.values(), default=0)

    def moments(self) -> dict[str, Moments]:
        """Raises: VecaError: a layer's inputs overflow."""
        found = {}
        for layer, count in self._rows.items():
            mean = (self._first[layer] / count).numpy()
            second = (self._second[layer] / count).numpy()
            if not np.isfinite(second).all():
                raise VecaError(f"{layer} sees values too large to calculate with: is this a trained model?")
            found[layer] = Moments(mean, second)
        return found
