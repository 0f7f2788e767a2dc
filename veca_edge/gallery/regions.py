"""A box in a picture as one vector: the mean of the patch features under it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite
from veca_edge.runtime.result import Result

Region = Sequence[float]  # x, y, width, height in pixels of the given picture


def region_mean(result: Result, box: Region) -> Float:
    """The mean of a result's patch features, each weighted with the area that the box covers of it: float32 (D',).

    Args:
        box: (x, y, width, height) in pixels of the picture that the model was given; what lies outside of
            `result.crop`, which the model did not see, does not count.

    Raises:
        VecaError: not four finite numbers, or no area within `result.crop`.
    """
    x, y, width, height = _checked(box)
    left, top, seen_width, seen_height = result.crop
    rows, columns = result.features.shape[:2]
    across = _covered((x - left) / seen_width, width / seen_width, columns)
    down = _covered((y - top) / seen_height, height / seen_height, rows)
    total = across.sum() * down.sum()
    if not total > 0:
        raise VecaError(
            f"box {shown(box)} lies outside of what the model saw: give one within x {left} to "
            f"{left + seen_width}, y {top} to {top + seen_height}"
        )
    weights = np.outer(down, across) / total
    return np.asarray(np.einsum("rc,rcd->d", weights, result.features, dtype=np.float64), np.float32)


def _covered(start: float, length: float, cells: int) -> NDArray[np.float64]:
    """Of each of so many cells, which share 0..1, the part within start .. start + length."""
    edges = np.arange(cells + 1) / cells
    shares = np.minimum(start + length, edges[1:]) - np.maximum(start, edges[:-1])
    covered: NDArray[np.float64] = np.maximum(shares, 0.0) * cells
    return covered


def _checked(box: Region) -> tuple[float, float, float, float]:
    values = box.tolist() if isinstance(box, np.ndarray) else box
    numbers = [finite(value) for value in values] if isinstance(values, (list, tuple)) else []
    if len(numbers) != 4 or None in numbers:
        raise VecaError(f"box {shown(box)}: use four numbers, x, y, width and height in pixels")
    x, y, width, height = (float(number or 0) for number in numbers)
    if width <= 0 or height <= 0:
        raise VecaError(f"box {shown(box)} is empty: width and height must be above 0")
    return x, y, width, height
