"""Constants, and operators that make a constant of smaller ones when a model is loaded: compressed weights.

Parameters are coremltools', in the forms that `veca_edge.converters.coreml` writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array


def affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Array) -> Array:
    """scale * (data - zero point), both one number or one per index of an axis."""
    where = int(axis)
    spread = [1] * quantized_data.ndim
    spread[where] = -1
    zero, factor = (number if number.ndim == 0 else number.reshape(spread) for number in (zero_point, scale))
    for number in (zero, factor):
        if number.size not in (1, quantized_data.shape[where]):
            raise VecaError(f"{number.size} scales for {quantized_data.shape[where]} rows")
    return np.asarray((quantized_data.astype(np.float32) - zero.astype(np.float32)) * factor)


def blockwise_shift_scale(data: Array, scale: Array) -> Array:
    """scale * data, one scale per block; the blocks' sizes follow from the shapes."""
    split, per_block = _blocks(data.shape, scale.shape)
    return (data.astype(np.float32).reshape(split) * scale.reshape(per_block)).reshape(data.shape)


def _blocks(shape: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """A tensor's shape with each axis cut into (blocks, size of a block), and that of one value per block."""
    if len(shape) != len(blocks) or any(not n or size % n for size, n in zip(shape, blocks, strict=True)):
        raise VecaError(f"a tensor of shape {shape} does not fall into blocks {blocks}")
    cut = [side for size, n in zip(shape, blocks, strict=True) for side in (n, size // n)]
    return cut, [side for n in blocks for side in (n, 1)]


def lut_to_dense(indices: Array, lut: Array) -> Array:
    """Values looked up in palettes.

    Args:
        indices: of any shape.
        lut: (palettes per axis of `indices` ..., entries, 1).
    """
    *palettes, entries, width = lut.shape
    split, per_block = _blocks(indices.shape, tuple(palettes))
    if width != 1:
        raise VecaError(f"a palette of vectors with {width} elements")
    if indices.size and int(indices.max()) >= entries:
        raise VecaError(f"an index beyond a palette of {entries}")
    first = (np.arange(math.prod(palettes), dtype=np.int32) * entries).reshape(per_block)
    places = (indices.reshape(split) + first).reshape(indices.shape)
    return np.asarray(lut.reshape(-1)[places])


OPERATORS: Mapping[str, Callable[..., Array]] = {
    "const": lambda val: val,
    "constexpr_affine_dequantize": affine_dequantize,
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_lut_to_dense": lut_to_dense,
}
