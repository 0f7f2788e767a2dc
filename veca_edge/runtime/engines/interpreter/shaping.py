"""Operators that move elements and change none.

Each function is one operator of the opsets of iOS 17 and iOS 18, with coremltools' parameter names and defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array, checked_size


def reshape(x: Array, shape: Array) -> Array:
    """One -1 is inferred; a 0 is the size of x as far from the right end, or 1 where x has none."""
    sides = _integers(shape)
    sizes = (1,) * max(0, len(sides) - x.ndim) + x.shape[max(0, x.ndim - len(sides)) :]
    return x.reshape([size if side == 0 else side for side, size in zip(sides, sizes, strict=True)])


def transpose(x: Array, perm: Array) -> Array:
    return x.transpose(_integers(perm))


def expand_dims(x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(_integers(axes)))


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """Removes axes of size 1; named ones of another size stay."""
    if axes is None:
        return np.squeeze(x)
    named = (axis + x.ndim if axis < 0 else axis for axis in _integers(axes))
    return np.squeeze(x, tuple(axis for axis in named if x.shape[axis] == 1))


def concat(values: Sequence[Array], axis: Array, interleave: Array | bool = False) -> Array:
    """Joins tensors along an axis; interleaved, the first element of each comes first, then the second of each."""
    if len({value.dtype for value in values}) > 1:
        raise VecaError("tensors of several types")
    where = int(axis) % max(values[0].ndim, 1)
    checked_size((sum(value.size for value in values),))
    if not interleave:
        return np.concatenate(values, where)
    stacked = np.stack(values, where + 1)
    shape = stacked.shape
    return stacked.reshape(*shape[:where], shape[where] * shape[where + 1], *shape[where + 2 :])


def stack(values: Sequence[Array], axis: Array) -> Array:
    checked_size((sum(value.size for value in values),))
    return np.stack(values, int(axis))


def split(
    x: Array, axis: Array, num_splits: Array | None = None, split_sizes: Array | None = None
) -> tuple[Array, ...]:
    """Cuts x along an axis: into equal parts, or into parts of these sizes."""
    length = x.shape[int(axis)]
    if split_sizes is None:
        if num_splits is None or int(num_splits) < 1 or length % int(num_splits):
            raise VecaError(f"no split of {length} into {num_splits} equal parts")
        return tuple(np.split(x, int(num_splits), int(axis)))
    sizes = _integers(split_sizes)
    if min(sizes, default=-1) < 0 or sum(sizes) != length or int(num_splits or len(sizes)) != len(sizes):
        raise VecaError(f"no split of {length} into {sizes}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], int(axis)))


def slice_by_index(
    x: Array,
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    """x[begin:end:stride, ...]; a mask leaves an end open, or takes the one element at `begin` without its axis."""
    count = len(_integers(begin))
    strides = [1] * count if stride is None else _integers(stride)
    masks = [[False] * count if mask is None else mask.tolist() for mask in (begin_mask, end_mask, squeeze_mask)]
    index: list[int | slice] = []
    for first, last, step, from_start, to_end, single in zip(
        _integers(begin), _integers(end), strides, *masks, strict=True
    ):
        ends = slice(None if from_start else first, None if to_end else last, step)
        index.append((0 if from_start else first) if single else ends)
    if len(index) != x.ndim:
        raise VecaError(f"{len(index)} slices of a tensor with {x.ndim} dimensions")
    return np.asarray(x[tuple(index)])


def slice_by_size(x: Array, begin: Array, size: Array) -> Array:
    """`size` elements from `begin` on; -1 for all."""
    index = []
    for first, count, length in zip(_integers(begin), _integers(size), x.shape, strict=True):
        start = first + length if first < 0 else first
        stop = length if count == -1 else start + count
        if not 0 <= start <= stop <= length:
            raise VecaError(f"no {count} elements from {first} on of {length}")
        index.append(slice(start, stop))
    return np.asarray(x[tuple(index)])


def tile(x: Array, reps: Array) -> Array:
    """x, repeated along each of its axes."""
    times = _integers(reps)
    if len(times) != x.ndim or min(times, default=1) < 1:
        raise VecaError(f"{times} repetitions of a tensor of shape {x.shape}")
    checked_size((x.size * math.prod(times),))
    return np.tile(x, times)


def identity(x: Array) -> Array:
    return x


def _integers(values: Array) -> list[int]:
    """A vector of integers as a list."""
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise VecaError(f"expected a vector of integers, got {values.dtype} {values.shape}")
    return [int(value) for value in values]


OPERATORS: Mapping[str, Callable[..., Array | tuple[Array, ...]]] = {
    "concat": concat,
    "expand_dims": expand_dims,
    "identity": identity,
    "reshape": reshape,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "tile": tile,
    "transpose": transpose,
}
