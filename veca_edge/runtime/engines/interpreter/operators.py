"""The operators that packages of ours are made of. Floats are float32 throughout.

Each function is one operator of the opsets of iOS 17 and iOS 18, with coremltools' parameter names and defaults, in
the forms that `veca_edge.converters.coreml` writes; other operators and forms are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array, checked_size, element_of
from veca_edge.runtime import result


def _unary(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """An operator of one tensor of floats."""

    def operator(x: Array) -> Array:
        return np.asarray(function(_floats(x)))

    return operator


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """An operator of two tensors that are broadcast against each other."""

    def operator(x: Array, y: Array) -> Array:
        if x.dtype != y.dtype or x.dtype.kind not in "fiu":
            raise VecaError(f"not defined for {x.dtype} and {y.dtype}")
        checked_size(np.broadcast_shapes(x.shape, y.shape))
        return function(x, y)

    return operator


def _floats(x: Array) -> Array:
    if x.dtype.kind != "f":
        raise VecaError(f"not defined for {x.dtype}")
    return x


def cast(x: Array, dtype: Array) -> Array:
    """x in another type; fractions are cut off. The interpreter rounds to fp16."""
    element = element_of(dtype.item())
    if element.name == "string" or element.bits < 8 or x.dtype.kind == "U":
        raise VecaError(f"no cast from {x.dtype} to {element.name}")
    return x.astype(np.float32 if element.dtype.kind == "f" else element.dtype)


def softmax(x: Array, axis: Array | int = -1) -> Array:
    """exp(x) / sum of exp(x) over an axis."""
    return np.moveaxis(result.softmax(np.moveaxis(_floats(x), int(axis), -1)), -1, int(axis))


def reduce_mean(x: Array, axes: Array, keep_dims: Array | bool = False) -> Array:
    """The mean over some axes."""
    over = tuple(_integers(axes))
    mean: Array = _floats(x).mean(over, keepdims=True)
    return mean if keep_dims else mean.squeeze(over)


def layer_norm(
    x: Array, axes: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: Array | float = 1e-5
) -> Array:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over some axes; gamma and beta have their shape."""
    over = sorted(axis % x.ndim for axis in _integers(axes))
    centred = x - x.mean(axis=tuple(over), keepdims=True)
    variance = np.square(centred).mean(axis=tuple(over), keepdims=True)
    normal: Array = centred / np.sqrt(variance + epsilon)
    shape = tuple(x.shape[axis] for axis in over)
    spread = [x.shape[axis] if axis in over else 1 for axis in range(x.ndim)]
    if gamma is not None:
        normal = normal * _shaped(gamma, shape).reshape(spread)
    return normal if beta is None else normal + _shaped(beta, shape).reshape(spread)


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x (..., in) @ weight (out, in).T + bias (out,)"""
    return matmul(x, weight, transpose_y=True) + _shaped(bias, (len(weight),))


def matmul(x: Array, y: Array, transpose_x: Array | bool = False, transpose_y: Array | bool = False) -> Array:
    """Matrix product over the last two axes, the others broadcast."""
    if x.dtype != y.dtype or min(x.ndim, y.ndim) < 2:
        raise VecaError(f"no product of {x.dtype} {x.shape} and {y.dtype} {y.shape}")
    a = x.swapaxes(-1, -2) if transpose_x else x
    b = y.swapaxes(-1, -2) if transpose_y else y
    checked_size((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    return np.asarray(a @ b)


def conv(
    x: Array,
    weight: Array,
    bias: Array,
    strides: Array,
    pad_type: Array | str = "valid",
    pad: Array | None = None,
    dilations: Array | None = None,
    groups: Array | int = 1,
) -> Array:
    """Convolution of x (B, C, H, W) with weight (K, C, p, q) at strides p and q: (B, K, H / p, W / q).

    Raises:
        VecaError: any other convolution.
    """
    plain = str(pad_type) == "valid" and not np.any(pad) and int(groups) == 1
    if not plain or np.any(np.not_equal(1 if dilations is None else dilations, 1)):
        raise VecaError("a convolution with padding, dilations or groups")
    if x.ndim != 4 or weight.ndim != 4 or _integers(strides) != [*weight.shape[2:]]:
        raise VecaError(f"a convolution of {x.shape} with {weight.shape} that overlaps or leaves gaps")
    (batch, channels, height, width), (count, _, tall, wide) = x.shape, weight.shape
    if channels != weight.shape[1] or height % tall or width % wide:
        raise VecaError(f"no convolution of {x.shape} with {weight.shape}")
    blocks = x.reshape(batch, channels, height // tall, tall, width // wide, wide)
    places = np.tensordot(blocks, weight, ([1, 3, 5], [1, 2, 3]))  # (B, H / p, W / q, K)
    return np.moveaxis(places + _shaped(bias, (count,)), -1, 1)


def scaled_dot_product_attention(query: Array, key: Array, value: Array) -> Array:
    """softmax(query @ key.T / sqrt(E)) @ value, of query (..., L, E), key (..., S, E) and value (..., S, EV)."""
    if query.ndim < 3 or not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        raise VecaError(f"no attention of {query.shape} to {key.shape} and {value.shape}")
    scores = matmul(query, key, transpose_y=True) / np.float32(math.sqrt(query.shape[-1]))
    return matmul(softmax(scores), value)


def classify(probabilities: Array, classes: Array) -> tuple[Array, Array]:
    """The most probable class, and the probabilities (K,) in the order of the classes."""
    flat = probabilities.reshape(-1)
    if len(flat) != len(classes) or not len(flat):
        raise VecaError(f"{len(flat)} probabilities for {len(classes)} classes")
    return np.asarray(classes[flat.argmax()]), flat


def reshape(x: Array, shape: Array) -> Array:
    """x in another shape, all of whose sides are given."""
    sides = _integers(shape)
    if min(sides, default=1) < 1:
        raise VecaError(f"a reshape to {sides} that leaves a side open")
    return x.reshape(sides)


def squeeze(x: Array, axes: Array) -> Array:
    """x without these axes of size 1."""
    return np.squeeze(x, tuple(_integers(axes)))


def concat(values: Sequence[Array], axis: Array, interleave: Array | bool = False) -> Array:
    """Tensors joined along an axis."""
    if len({value.dtype for value in values}) > 1 or interleave:
        raise VecaError("interleaved tensors, or tensors of several types")
    checked_size((sum(value.size for value in values),))
    return np.concatenate(values, int(axis))


def split(x: Array, axis: Array, split_sizes: Array) -> tuple[Array, ...]:
    """x cut along an axis into parts of these sizes."""
    length, sizes = x.shape[int(axis)], _integers(split_sizes)
    if min(sizes, default=-1) < 0 or sum(sizes) != length:
        raise VecaError(f"no split of {length} into {sizes}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], int(axis)))


def slice_by_size(x: Array, begin: Array, size: Array) -> Array:
    """`size` elements from `begin` on, along each axis."""
    ends = list(zip(_integers(begin), _integers(size), x.shape, strict=True))
    if not all(0 <= first <= first + count <= length for first, count, length in ends):
        raise VecaError(f"no {_integers(size)} elements from {_integers(begin)} of a tensor of shape {x.shape}")
    return np.asarray(x[tuple(slice(first, first + count) for first, count, _ in ends)])


def _shaped(x: Array, shape: tuple[int, ...]) -> Array:
    if x.shape != shape:
        raise VecaError(f"a parameter of shape {x.shape}, expected {shape}")
    return x


def _integers(values: Array) -> list[int]:
    """A vector of integers as a list."""
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise VecaError(f"expected a vector of integers, got {values.dtype} {values.shape}")
    return [int(value) for value in values]


OPERATORS: Mapping[str, Callable[..., Array | tuple[Array, ...]]] = {
    "add": _binary(np.add),
    "cast": cast,
    "classify": classify,
    "concat": concat,
    "conv": conv,
    "cos": _unary(np.cos),
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(_integers(axes))),
    "identity": lambda x: x,
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "mul": _binary(np.multiply),
    "reduce_mean": reduce_mean,
    "reshape": reshape,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "silu": _unary(lambda x: x / (1 + np.exp(-x))),
    "sin": _unary(np.sin),
    "slice_by_size": slice_by_size,
    "softmax": softmax,
    "split": split,
    "squeeze": squeeze,
    "sub": _binary(np.subtract),
    "tanh": _unary(np.tanh),
    "transpose": lambda x, perm: x.transpose(_integers(perm)),
}
