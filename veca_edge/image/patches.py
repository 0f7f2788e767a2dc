"""Images to patches and positions, in the order that the elastic graph reads them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float

Number = TypeVar("Number", np.float32, np.uint8)


def cut_patches(image: NDArray[np.uint8], patch_size: int) -> Float:
    """Cut an image into patches, row by row, as engines take them.

    Args:
        image: uint8 (H, W, 3), RGB; H and W are multiples of `patch_size`.
        patch_size: side p of a patch in pixels.

    Returns:
        float32 (N, p * p * 3), values 0..255, each patch in (row, column, channel) order.
    """
    return _cut(image, patch_size, np.float32)


def cut_bytes(image: NDArray[np.uint8], patch_size: int) -> NDArray[np.uint8]:
    """The same as uint8: a quarter of the memory to compare."""
    return _cut(image, patch_size, np.uint8)


def cut_some(image: NDArray[np.uint8], patch_size: int, patches: NDArray[np.intp]) -> Float:
    """Only the patches with these indices (n,), as `cut_patches` cuts them: float32 (n, p * p * 3)."""
    height, width, _ = image.shape
    grid = image.reshape(height // patch_size, patch_size, width // patch_size, patch_size * 3)
    row, column = np.divmod(patches, width // patch_size)
    return grid[row, :, column].astype(np.float32).reshape(len(patches), -1)


def _cut(image: NDArray[np.uint8], patch_size: int, dtype: type[Number]) -> NDArray[Number]:
    height, width, _ = image.shape
    rows, columns = height // patch_size, width // patch_size
    # Cast while gathering: one pass over the pixels, and whole rows of a patch are copied at once.
    grid = image.reshape(rows, patch_size, columns, patch_size * 3)
    patches = np.empty((rows, columns, patch_size, patch_size * 3), dtype)
    patches[...] = grid.transpose(0, 2, 1, 3)
    return patches.reshape(rows * columns, -1)


def cell_centres(rows: int, columns: int) -> Float:
    """Centres of a grid's cells as (x, y) in -1..1, row by row: float32 (rows * columns, 2)."""
    x = (np.arange(columns, dtype=np.float32) + np.float32(0.5)) / np.float32(columns) * 2 - 1
    y = (np.arange(rows, dtype=np.float32) + np.float32(0.5)) / np.float32(rows) * 2 - 1
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    return grid.reshape(-1, 2).astype(np.float32)
