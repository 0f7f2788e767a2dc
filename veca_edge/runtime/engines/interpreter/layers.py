"""Operators of neural networks: products, convolution, normalisation, attention, the classifier's last step.

Each function is one operator of the opsets of iOS 17 and iOS 18, with coremltools' parameter names and defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array, checked_size
from veca_edge.runtime.engines.interpreter.elementwise import softmax


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x (..., in) @ weight (out, in).T + bias (out,)"""
    product = matmul(x, weight, transpose_y=True)
    return product if bias is None else product + _shaped(bias, (len(weight),))


def matmul(x: Array, y: Array, transpose_x: Array | bool = False, transpose_y: Array | bool = False) -> Array:
    """Matrix product over the last two axes, the others broadcast, as numpy does it."""
    if x.dtype != y.dtype or not x.ndim or not y.ndim:
        raise VecaError(f"no product of {x.dtype} {x.shape} and {y.dtype} {y.shape}")
    a = x.swapaxes(-1, -2) if transpose_x and x.ndim > 1 else x
    b = y.swapaxes(-1, -2) if transpose_y and y.ndim > 1 else y
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    checked_size((*batch, *a.shape[-2:-1], *b.shape[-1:][: b.ndim - 1]))
    return np.asarray(a @ b)


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Array | None = None,
    pad_type: Array | str = "valid",
    pad: Array | None = None,
    dilations: Array | None = None,
    groups: Array | int = 1,
) -> Array:
    """Convolution of x (B, C, *sides) with weight (K, C / groups, *kernel): (B, K, *sides of the result).

    Raises:
        VecaError: `pad_type` "same" or "same_lower", whose documentation contradicts itself for strides above 1.
    """
    dimensions = x.ndim - 2
    if dimensions < 1 or weight.ndim != x.ndim:
        raise VecaError(f"no convolution of {x.shape} with {weight.shape}")
    step, gap = _per_side(strides, dimensions), _per_side(dilations, dimensions)
    margins = [(0, 0), (0, 0), *_padding(str(pad_type), pad, dimensions)]
    checked_size(tuple(size + before + after for size, (before, after) in zip(x.shape, margins, strict=True)))
    x = np.pad(x, margins)
    count = int(groups)
    if count < 1 or len(weight) % count or x.shape[1] != weight.shape[1] * count:
        raise VecaError(f"no convolution of {x.shape} with {weight.shape} in {count} groups")
    parts = zip(np.split(x, count, 1), np.split(weight, count, 0), strict=True)
    result = np.concatenate([_correlate(part, kernel, step, gap) for part, kernel in parts], axis=1)
    return result if bias is None else result + _shaped(bias, (len(weight),)).reshape(-1, *[1] * dimensions)


def _correlate(x: Array, kernel: Array, strides: list[int], dilations: list[int]) -> Array:
    """x (B, C, *sides) and kernel (K, C, *kernel) without padding and groups."""
    dimensions = len(strides)
    sides = range(2, 2 + dimensions)
    reach = tuple((size - 1) * gap + 1 for size, gap in zip(kernel.shape[2:], dilations, strict=True))
    # Older numpy declares one axis only.
    windows: Array = cast(Any, sliding_window_view)(x, reach, tuple(sides))  # (B, C, *places, *reach)
    index = tuple(slice(None, None, n) for n in (1, 1, *strides, *dilations))
    windows = windows[index]
    checked_size(windows.shape)
    inner = [1, *range(2 + dimensions, 2 + 2 * dimensions)]
    result = np.tensordot(windows, kernel, (inner, [1, *sides]))  # (B, *places, K)
    return np.moveaxis(result, -1, 1)


def _per_side(values: Array | None, dimensions: int) -> list[int]:
    numbers = [1] * dimensions if values is None else [int(value) for value in values.reshape(-1)]
    if len(numbers) != dimensions or min(numbers) < 1:
        raise VecaError(f"{numbers} for {dimensions} sides")
    return numbers


def _padding(kind: str, pad: Array | None, dimensions: int) -> list[tuple[int, int]]:
    """(before, after) per side."""
    if kind not in ("valid", "custom"):
        raise VecaError(f"padding {kind!r} is not supported by this interpreter")
    numbers = [0] * 2 * dimensions if pad is None else [int(value) for value in pad.reshape(-1)]
    if len(numbers) != 2 * dimensions or min(numbers) < 0 or max(numbers) > 2**16:
        raise VecaError(f"padding {numbers[:8]} for {dimensions} sides")
    if kind == "valid" and any(numbers):
        raise VecaError("padding 'valid' that pads")
    return list(zip(numbers[0::2], numbers[1::2], strict=True))


def layer_norm(
    x: Array,
    axes: Array | None = None,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: Array | float = 1e-5,
) -> Array:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over some axes; gamma and beta have their shape."""
    over = sorted(int(axis) % x.ndim for axis in (range(x.ndim) if axes is None else axes.reshape(-1)))
    centred = x - x.mean(axis=tuple(over), keepdims=True)
    variance = np.square(centred).mean(axis=tuple(over), keepdims=True)
    result: Array = centred / np.sqrt(variance + epsilon)
    shape = tuple(x.shape[axis] for axis in over)
    spread = [x.shape[axis] if axis in over else 1 for axis in range(x.ndim)]
    if gamma is not None:
        result = result * _shaped(gamma, shape).reshape(spread)
    return result if beta is None else result + _shaped(beta, shape).reshape(spread)


def scaled_dot_product_attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    """softmax(query @ key.T / sqrt(E) + mask) @ value.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, EV).
        attn_mask: (..., S); floats are added to the scores, False hides.
    """
    if query.ndim < 3 or not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        raise VecaError(f"no attention of {query.shape} to {key.shape} and {value.shape}")
    scores = matmul(query, key, transpose_y=True) / np.float32(math.sqrt(query.shape[-1]))
    if attn_mask is not None:
        if np.broadcast_shapes(scores.shape, attn_mask.shape) != scores.shape:
            raise VecaError(f"a mask of shape {attn_mask.shape} for scores of shape {scores.shape}")
        hidden = np.float32(-np.inf)
        scores = np.where(attn_mask, scores, hidden) if attn_mask.dtype == np.bool_ else scores + attn_mask
    return matmul(softmax(scores), value)


def classify(probabilities: Array, classes: Array) -> tuple[Array, Array]:
    """The most probable class, and the probabilities (K,) in the order of the classes."""
    flat = probabilities.reshape(-1)
    if len(flat) != len(classes) or not len(flat):
        raise VecaError(f"{len(flat)} probabilities for {len(classes)} classes")
    return np.asarray(classes[flat.argmax()]), flat


def _shaped(x: Array, shape: tuple[int, ...]) -> Array:
    if x.shape != shape:
        raise VecaError(f"a parameter of shape {x.shape}, expected {shape}")
    return x


OPERATORS: Mapping[str, Callable[..., Array | tuple[Array, ...]]] = {
    "classify": classify,
    "conv": conv,
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
