"""Operators against PyTorch, or against numpy where PyTorch has no such thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import Array
from veca_edge.runtime.engines.interpreter.interpreter import OPERATORS


def _random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _run(kind: str, **parameters: Any) -> Any:
    """An operator; numbers, lists and texts become arrays as in a program."""

    def array(value: Any) -> Any:
        if isinstance(value, np.ndarray) or (isinstance(value, (list, tuple)) and isinstance(value[0], np.ndarray)):
            return value
        found = np.array(value)
        return found.astype({"i": np.int32, "f": np.float32}.get(found.dtype.kind, found.dtype))

    with np.errstate(all="ignore"):
        return OPERATORS[kind](**{name: array(value) for name, value in parameters.items()})


def _close(found: Array, expected: torch.Tensor | Array, tolerance: float = 2e-6) -> None:
    assert found.shape == tuple(expected.shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.asarray(expected), rtol=tolerance, atol=tolerance)


def _torch(*arrays: Array) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize(
    ("kind", "reference"), [("cos", torch.cos), ("silu", F.silu), ("sin", torch.sin), ("tanh", torch.tanh)]
)
def test_one_argument(kind: str, reference: Callable[..., torch.Tensor]) -> None:
    x = np.concatenate([_random(50), [0.0, 100.0, -100.0, 1e-6]]).astype(np.float32)
    _close(_run(kind, x=x), reference(*_torch(x)))


@pytest.mark.parametrize(("kind", "reference"), [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul)])
def test_two_arguments_are_broadcast(kind: str, reference: Callable[..., torch.Tensor]) -> None:
    x, y = _random(3, 1, 5), _random(4, 1, seed=1)
    _close(_run(kind, x=x, y=y), reference(*_torch(x, y)))


@pytest.mark.parametrize("axes", [[1], [-1, 0]])
@pytest.mark.parametrize("keep", [True, False])
def test_means(axes: list[int], keep: bool) -> None:
    x = _random(3, 4, 5)
    _close(_run("reduce_mean", x=x, keep_dims=keep, axes=axes), torch.from_numpy(x).mean(axes, keepdim=keep))


def test_softmax_of_large_numbers() -> None:
    x = _random(3, 4, 5) * 1000
    for axis in (-1, 0, 1):
        _close(_run("softmax", x=x, axis=axis), torch.from_numpy(x).softmax(axis))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int32", [1, -1, 0, 2]), ("bool", [True, True, False, True]), ("fp32", [1.9, -1.9, 0, 2])],
)
def test_cast_cuts_fractions_off(dtype: str, expected: list[Any]) -> None:
    found = _run("cast", x=np.array([1.9, -1.9, 0, 2], np.float32), dtype=dtype)
    np.testing.assert_array_equal(found, np.array(expected, found.dtype))
    assert found.dtype == {"int32": np.int32, "bool": np.bool_, "fp32": np.float32}[dtype]


@pytest.mark.parametrize(("axes", "affine"), [([-1], True), ([1, 2], True), ([2, 1], True), ([-1], False)])
def test_layer_norm(axes: list[int], affine: bool) -> None:
    x = _random(2, 3, 8) * 3 + 50
    shape = tuple(x.shape[axis] for axis in sorted(axis % 3 for axis in axes))
    gamma, beta = _random(*shape, seed=1), _random(*shape, seed=2)
    found = _run("layer_norm", x=x, axes=axes, epsilon=1e-3, **({"gamma": gamma, "beta": beta} if affine else {}))
    gain, offset = _torch(gamma, beta) if affine else (None, None)
    _close(found, F.layer_norm(torch.from_numpy(x), list(shape), gain, offset, 1e-3), 2e-5)


def test_attention() -> None:
    query, key, value = _random(2, 3, 5, 8), _random(2, 3, 7, 8, seed=1), _random(2, 3, 7, 4, seed=2)
    found = _run("scaled_dot_product_attention", query=query, key=key, value=value)
    _close(found, F.scaled_dot_product_attention(*_torch(query, key, value)))


@pytest.mark.parametrize(
    ("x", "y", "flip_x", "flip_y"),
    [
        ((4, 3), (3, 2), False, False),
        ((3, 4), (3, 2), True, False),
        ((4, 3), (2, 3), False, True),
        ((10, 4, 3), (5, 10, 3, 2), False, False),
    ],
)
def test_matmul(x: tuple[int, ...], y: tuple[int, ...], flip_x: bool, flip_y: bool) -> None:
    a, b = _random(*x), _random(*y, seed=1)
    first, second = a.swapaxes(-1, -2) if flip_x else a, b.swapaxes(-1, -2) if flip_y else b
    _close(_run("matmul", x=a, y=b, transpose_x=flip_x, transpose_y=flip_y), torch.matmul(*_torch(first, second)))


def test_linear() -> None:
    x, weight, bias = _random(2, 5, 8), _random(3, 8, seed=1), _random(3, seed=2)
    _close(_run("linear", x=x, weight=weight, bias=bias), F.linear(*_torch(x, weight, bias)))


@pytest.mark.parametrize(("sides", "kernel"), [((32, 48), (16, 16)), ((6, 8), (3, 2))])
def test_convolution_of_patches(sides: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    x, weight, bias = _random(2, 4, *sides), _random(8, 4, *kernel, seed=1), _random(8, seed=2)
    given = {"strides": [*kernel], "pad_type": "valid", "pad": [0] * 4, "dilations": [1, 1], "groups": 1}
    expected = F.conv2d(*_torch(x, weight, bias), stride=kernel)
    _close(_run("conv", x=x, weight=weight, bias=bias, **given), expected, 2e-5)


def test_what_moves_elements() -> None:
    x, y = _random(1, 6, 5), _random(1, 6, 5, seed=1)
    for found, expected in (
        (_run("reshape", x=x, shape=[2, 15]), x.reshape(2, 15)),
        (_run("transpose", x=x, perm=[1, 0, -1]), x.transpose(1, 0, 2)),
        (_run("expand_dims", x=x, axes=[0, -1]), x[None, ..., None]),
        (_run("squeeze", x=x, axes=[0]), x[0]),
        (_run("identity", x=x), x),
        (_run("slice_by_size", x=x, begin=[0, 1, 3], size=[1, 5, 1]), x[:, 1:, 3:4]),
        (_run("concat", values=(x, y), axis=-1, interleave=False), np.concatenate([x, y], -1)),
        (np.concatenate(_run("split", x=x, axis=-2, split_sizes=[1, 3, 2]), 1), x),
    ):
        np.testing.assert_array_equal(found, expected)
    assert [part.shape[1] for part in _run("split", x=x, axis=1, split_sizes=[1, 3, 2])] == [1, 3, 2]


def test_classify() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3]], np.float32)
    label, all_of_them = _run("classify", probabilities=probabilities, classes=["a", "b", "c"])
    assert (label.item(), label.shape) == ("b", ())
    np.testing.assert_array_equal(all_of_them, probabilities[0])


_X = _random(2, 3)
_BIG = np.broadcast_to(np.float32(1), (2**15, 1))
_CONV = {
    "x": _random(1, 1, 4, 4), "weight": _random(1, 1, 2, 2), "bias": _random(1), "strides": [2, 2],
    "pad_type": "valid",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("add", {"x": _X, "y": np.ones((2, 3), np.int32)}),
        ("add", {"x": _BIG, "y": _BIG.T}),
        ("add", {"x": np.array("a"), "y": np.array("b")}),
        ("tanh", {"x": np.ones(3, np.int32)}),
        ("matmul", {"x": _BIG, "y": _BIG.T}),
        ("matmul", {"x": np.float32(1) * np.ones(3), "y": _X}),
        ("linear", {"x": _BIG, "weight": _BIG, "bias": _random(2**15)}),
        ("linear", {"x": _X, "weight": _random(4, 3), "bias": _random(1)}),
        ("conv", {**_CONV, "pad_type": "same"}),
        ("conv", {**_CONV, "pad": [1, 1, 1, 1]}),
        ("conv", {**_CONV, "groups": 2}),
        ("conv", {**_CONV, "dilations": [2, 1]}),
        ("conv", {**_CONV, "strides": [1, 2]}),
        ("conv", {**_CONV, "x": _random(1, 3, 4, 4)}),
        ("conv", {**_CONV, "x": _random(1, 1, 5, 4)}),
        ("layer_norm", {"x": _X, "axes": [-1], "gamma": _random(2)}),
        (
            "scaled_dot_product_attention",
            {"query": _random(1, 2, 4), "key": _random(3, 2, 4), "value": _random(3, 2, 4)},
        ),
        ("split", {"x": _X, "axis": 1, "split_sizes": [1, 1]}),
        ("split", {"x": _X, "axis": 1, "split_sizes": [-1, 4]}),
        ("concat", {"values": (_X, _X.astype(np.int32)), "axis": 0}),
        ("concat", {"values": (_X, _X), "axis": 0, "interleave": True}),
        ("reshape", {"x": _X, "shape": [-1, 2]}),
        ("slice_by_size", {"x": _X, "begin": [0, 2], "size": [2, 2]}),
        ("slice_by_size", {"x": _X, "begin": [0, 0], "size": [2, -1]}),
        ("cast", {"x": _X, "dtype": "int4"}),
        ("cast", {"x": _X, "dtype": "bf16"}),
        ("classify", {"probabilities": _X, "classes": ["a"]}),
        ("transpose", {"x": _X, "perm": [0.0, 1.0]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_defined_is_refused(kind: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(VecaError):
        _run(kind, **parameters)
