"""Constants, and operators that make a constant of smaller ones when a model is loaded: compressed weights.

Parameters are coremltools'. Of those with two forms, the older one (up to iOS 17) has a flat tensor and a `shape`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array, checked_size, unpack_bits


def const(val: Array) -> Array:
    """A constant as it is."""
    return val


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


def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """scale * (data - offset), one scale per block; the blocks' sizes follow from the shapes."""
    split, per_block = _blocks(data.shape, scale.shape)
    values = data.astype(np.float32).reshape(split)
    if offset is not None:
        if offset.shape != scale.shape:
            raise VecaError(f"offsets of shape {offset.shape} beside scales of shape {scale.shape}")
        values = values - offset.astype(np.float32).reshape(per_block)
    return (values * scale.reshape(per_block)).reshape(data.shape)


def _blocks(shape: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """A tensor's shape with each axis cut into (blocks, size of a block), and that of one value per block."""
    if len(shape) != len(blocks) or any(not n or size % n for size, n in zip(shape, blocks, strict=True)):
        raise VecaError(f"a tensor of shape {shape} does not fall into blocks {blocks}")
    cut = [side for size, n in zip(shape, blocks, strict=True) for side in (n, size // n)]
    return cut, [side for n in blocks for side in (n, 1)]


def lut_to_dense(indices: Array, lut: Array, shape: Array | None = None, vector_axis: Array | None = None) -> Array:
    """Values looked up in palettes.

    Args:
        indices: of any shape; with `shape`, packed bits in a vector of uint8.
        lut: (palettes per axis of `indices` ..., entries, vector size); with `shape`, one palette (entries,).
        shape: of the result, in the older form.
        vector_axis: the axis along which a looked-up vector is laid out.
    """
    if shape is not None:
        bits = int(lut.size - 1).bit_length()
        sides = tuple(int(side) for side in shape)
        size = checked_size(sides)
        if lut.size != 2**bits or not 1 <= bits <= 8 or indices.shape != (-(-bits * size // 8),):
            raise VecaError(f"{indices.size} packed indices of {lut.size} values for {size} elements")
        return np.asarray(lut[unpack_bits(indices, bits, size)].reshape(sides))
    *palettes, entries, width = lut.shape
    split, per_block = _blocks(indices.shape, tuple(palettes))
    checked_size((*indices.shape, width))
    if indices.size and int(indices.max()) >= entries:
        raise VecaError(f"an index beyond a palette of {entries}")
    first = (np.arange(math.prod(palettes), dtype=np.int32) * entries).reshape(per_block)
    places = (indices.reshape(split) + first).reshape(indices.shape)
    values = lut.reshape(-1, width)[places]
    if width == 1:
        return np.asarray(values[..., 0])
    return _laid_out(values, vector_axis)


def _laid_out(values: Array, vector_axis: Array | None) -> Array:
    """Vectors on the last axis moved into another one."""
    rank = values.ndim - 1
    if vector_axis is None or not -rank <= int(vector_axis) < rank:
        raise VecaError("vectors in a palette without an axis to lay them out on")
    axis = int(vector_axis) % rank
    shape = list(values.shape[:-1])
    shape[axis] *= values.shape[-1]
    return np.moveaxis(values, -1, axis + 1).reshape(shape)


def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array | None = None) -> Array:
    """Values where the mask has ones, zero elsewhere.

    Args:
        nonzero_data: (D,).
        mask: of the result's shape, 0 or 1; with `shape`, packed bits in a vector of uint8.
        shape: of the result, in the older form.
    """
    if shape is not None:
        sides = tuple(int(side) for side in shape)
        size = checked_size(sides)
        if mask.shape != (-(-size // 8),):
            raise VecaError(f"a mask of {mask.size} bytes for {size} elements")
        mask = unpack_bits(mask, 1, size).reshape(sides)
    there = mask != 0
    if nonzero_data.shape != (np.count_nonzero(there),):
        raise VecaError(f"{nonzero_data.size} values for {np.count_nonzero(there)} places")
    result = np.zeros(mask.shape, nonzero_data.dtype)
    result[there] = nonzero_data
    return result


def constexpr_cast(source_val: Array, output_dtype: Array) -> Array:
    """fp16 as fp32."""
    if source_val.dtype.kind != "f" or output_dtype.item() != "fp32":
        raise VecaError(f"no cast of {source_val.dtype} to {output_dtype.item()}")
    return source_val


OPERATORS: Mapping[str, Callable[..., Array]] = {
    "const": const,
    "constexpr_affine_dequantize": affine_dequantize,
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_cast": constexpr_cast,
    "constexpr_lut_to_dense": lut_to_dense,
    "constexpr_sparse_to_dense": sparse_to_dense,
}
