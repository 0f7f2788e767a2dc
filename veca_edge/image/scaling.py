"""Images to another size: with OpenCV where it is installed, else in numpy, within two grey levels of each other.

Phones' Python has numpy but not always OpenCV, which is faster.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.errors import is_installed

# Sides of blocks that OpenCV's sliding mean averages two and a half times as fast as its mean over areas: both are
# vectorized for small blocks only, these and 2 x 2. They give the same bytes: no mean of an odd number is a tie.
SLIDING = (3, 5)

_IMPORTING = Lock()


@cache
def opencv() -> Any:
    """OpenCV's module, or None where it is not installed."""
    with _IMPORTING:  # cv2 does not bear it from two threads
        return import_module("cv2") if is_installed("cv2") else None


def averaged(image: Image, tall: int, wide: int) -> Image:
    """Every block of `tall` x `wide` pixels becomes its average.

    Args:
        image: uint8 (H, W, 3); H is a multiple of `tall`, W of `wide`.

    Returns:
        uint8 (H / tall, W / wide, 3).
    """
    rows, columns = image.shape[0] // tall, image.shape[1] // wide
    if (cv2 := opencv()) is not None:
        how = cv2.INTER_AREA
        if wide in SLIDING and tall in SLIDING:
            image, how = cv2.blur(image, (wide, tall), anchor=(0, 0)), cv2.INTER_NEAREST  # each block's first pixel
        smaller: Image = cv2.resize(image, (columns, rows), interpolation=how)
        return smaller
    # Line by line, then column by column: numpy's own sums over short axes take five times as long.
    lines = _sum(image[first::tall] for first in range(tall))
    sums = _sum(lines[:, first::wide] for first in range(wide))
    return np.asarray((sums + tall * wide // 2) // (tall * wide), np.uint8)


def _sum(parts: Iterable[NDArray[Any]]) -> NDArray[np.uint32]:
    first, *others = parts
    total = first.astype(np.uint32)
    for part in others:
        total += part
    return total


def interpolated(image: Image, width: int, height: int) -> Image:
    """Linear interpolation between the four nearest pixels: uint8 (height, width, 3)."""
    if (cv2 := opencv()) is not None:
        scaled: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return scaled
    down = _between(image.astype(np.float32), height)
    both = _between(down.swapaxes(0, 1), width).swapaxes(0, 1)
    return np.ascontiguousarray(np.rint(both), np.uint8)


def _between(lines: Float, count: int) -> Float:
    """`count` lines from those along the first axis; pixels are areas, so centres lie at halves."""
    given = len(lines)
    place = np.clip((np.arange(count) + 0.5) * (given / count) - 0.5, 0, given - 1)
    first = place.astype(np.intp)
    share = (place - first).astype(np.float32).reshape(-1, *[1] * (lines.ndim - 1))
    here, after = lines[first], lines[np.minimum(first + 1, given - 1)]
    return np.asarray(here + share * (after - here), np.float32)
