"""Operators that work element by element, and reductions. Floats are float32 throughout.

Each function is one operator of the opsets of iOS 17 and iOS 18, with coremltools' parameter names and defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array, checked_size, element_of


def _binary(
    function: Callable[[Array, Array], Array], floats_only: bool = False
) -> Callable[[Array, Array], Array]:
    """An operator of two tensors that are broadcast against each other."""

    def operator(x: Array, y: Array) -> Array:
        if x.dtype != y.dtype or x.dtype.kind not in ("f" if floats_only else "fiu"):
            raise VecaError(f"not defined for {x.dtype} and {y.dtype}")
        checked_size(np.broadcast_shapes(x.shape, y.shape))
        return function(x, y)

    return operator


def _unary(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """An operator of one tensor of floats."""

    def operator(x: Array) -> Array:
        return function(_floats(x))

    return operator


def _floats(x: Array) -> Array:
    if x.dtype.kind != "f":
        raise VecaError(f"not defined for {x.dtype}")
    return x


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-_floats(x))))


def silu(x: Array) -> Array:
    """x * sigmoid(x)"""
    return np.asarray(x / (1 + np.exp(-_floats(x))))


def rsqrt(x: Array, epsilon: Array | float = 1e-12) -> Array:
    """1 / sqrt(x + epsilon)"""
    return np.asarray(1 / np.sqrt(_floats(x) + epsilon))


def inverse(x: Array, epsilon: Array | float = 1e-4) -> Array:
    """1 / (x + epsilon)"""
    return np.asarray(1 / (_floats(x) + epsilon))


def clip(x: Array, alpha: Array, beta: Array) -> Array:
    """x, at least alpha and at most beta."""
    return np.clip(_floats(x), alpha, beta)


def cast(x: Array, dtype: Array) -> Array:
    """x in another type; fractions are cut off. The interpreter rounds to fp16."""
    element = element_of(dtype.item())
    if element.name == "string" or element.bits < 8 or x.dtype.kind == "U":
        raise VecaError(f"no cast from {x.dtype} to {element.name}")
    return x.astype(np.float32 if element.dtype.kind == "f" else element.dtype)


def softmax(x: Array, axis: Array | int = -1) -> Array:
    """exp(x) / sum of exp(x) over an axis."""
    powers = np.exp(_floats(x) - x.max(axis=int(axis), keepdims=True))
    return np.asarray(powers / powers.sum(axis=int(axis), keepdims=True))


def _reduction(function: Callable[..., Array]) -> Callable[..., Array]:
    def operator(x: Array, axes: Array | None = None, keep_dims: Array | bool = False) -> Array:
        over = None if axes is None else tuple(int(axis) for axis in axes.reshape(-1))
        return np.asarray(function(_floats(x), axis=over, keepdims=bool(keep_dims)))

    return operator


OPERATORS: Mapping[str, Callable[..., Array]] = {
    "abs": _unary(np.abs),
    "add": _binary(np.add),
    "cast": cast,
    "clip": clip,
    "cos": _unary(np.cos),
    "exp": _unary(np.exp),
    "inverse": inverse,
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "mul": _binary(np.multiply),
    "pow": _binary(np.power, floats_only=True),
    "real_div": _binary(np.true_divide, floats_only=True),
    "reduce_max": _reduction(np.max),
    "reduce_mean": _reduction(np.mean),
    "reduce_min": _reduction(np.min),
    "reduce_sum": _reduction(np.sum),
    "relu": _unary(lambda x: np.maximum(x, 0)),
    "rsqrt": rsqrt,
    "sigmoid": sigmoid,
    "silu": silu,
    "sin": _unary(np.sin),
    "softmax": softmax,
    "sqrt": _unary(np.sqrt),
    "square": _unary(np.square),
    "sub": _binary(np.subtract),
    "tanh": _unary(np.tanh),
}
