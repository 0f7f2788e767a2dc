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


def _close(found: Array, expected: torch.Tensor | Array, tolerance: float = 1e-6) -> None:
    assert found.shape == tuple(expected.shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.asarray(expected), rtol=tolerance, atol=tolerance)


UNARY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "abs": torch.abs,
    "cos": torch.cos,
    "exp": torch.exp,
    "inverse": lambda x: 1 / (x + 1e-4),
    "relu": F.relu,
    "rsqrt": lambda x: torch.rsqrt(x + 1e-12),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("kind", UNARY)
def test_one_argument(kind: str) -> None:
    x = np.concatenate([_random(50), [0.0, 100.0, -100.0, 1e-6]]).astype(np.float32)
    np.testing.assert_allclose(_run(kind, x=x), UNARY[kind](torch.from_numpy(x)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("add", torch.add),
        ("sub", torch.sub),
        ("mul", torch.mul),
        ("real_div", torch.div),
        ("pow", torch.pow),
        ("maximum", torch.maximum),
        ("minimum", torch.minimum),
    ],
)
def test_two_arguments_are_broadcast(kind: str, reference: Callable[..., torch.Tensor]) -> None:
    x, y = np.abs(_random(3, 1, 5)), _random(4, 1, seed=1)
    _close(_run(kind, x=x, y=y), reference(torch.from_numpy(x), torch.from_numpy(y)))


@pytest.mark.parametrize("axes", [[1], [-1, 0], [0, 1, 2], None])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(("kind", "name"), [("mean", "mean"), ("sum", "sum"), ("max", "amax"), ("min", "amin")])
def test_reductions(kind: str, name: str, axes: list[int] | None, keep: bool) -> None:
    x = _random(3, 4, 5)
    given = {} if axes is None else {"axes": axes}
    expected = getattr(torch, name)(torch.from_numpy(x), axes or [0, 1, 2], keepdim=keep)
    _close(_run(f"reduce_{kind}", x=x, keep_dims=keep, **given), expected)


def test_softmax_of_large_numbers() -> None:
    x = _random(3, 4, 5) * 1000
    for axis in (-1, 0, 1):
        _close(_run("softmax", x=x, axis=axis), torch.from_numpy(x).softmax(axis))
    _close(_run("softmax", x=x), torch.from_numpy(x).softmax(-1))


def test_clip() -> None:
    x = _random(20)
    _close(_run("clip", x=x, alpha=-0.5, beta=0.25), torch.from_numpy(x).clamp(-0.5, 0.25))


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
    given = {"gamma": gamma, "beta": beta} if affine else {}
    gain, offset = (torch.from_numpy(gamma), torch.from_numpy(beta)) if affine else (None, None)
    found = _run("layer_norm", x=x, axes=axes, epsilon=1e-3, **given)
    _close(found, F.layer_norm(torch.from_numpy(x), list(shape), gain, offset, 1e-3), 2e-5)


def test_layer_norm_of_everything_by_default() -> None:
    x = _random(2, 3, 8)
    _close(_run("layer_norm", x=x), F.layer_norm(torch.from_numpy(x), x.shape), 1e-5)


@pytest.mark.parametrize("mask", [None, "float", "bool", "shared"])
def test_attention(mask: str | None) -> None:
    query, key, value = _random(2, 3, 5, 8), _random(2, 3, 7, 8, seed=1), _random(2, 3, 7, 4, seed=2)
    masks = {
        None: None,
        "float": _random(2, 3, 5, 7, seed=3),
        "bool": np.random.default_rng(4).random((5, 7)) < 0.7,
        "shared": _random(1, 7, seed=5),
    }
    given = masks[mask]
    q, k, v = map(torch.from_numpy, (query, key, value))
    expected = F.scaled_dot_product_attention(q, k, v, None if given is None else torch.from_numpy(given))
    more = {} if given is None else {"attn_mask": given}
    _close(_run("scaled_dot_product_attention", query=query, key=key, value=value, **more), expected, 2e-6)


@pytest.mark.parametrize(
    ("x", "y", "flip_x", "flip_y"),
    [
        ((4, 3), (3, 2), False, False),
        ((3, 4), (3, 2), True, False),
        ((4, 3), (2, 3), False, True),
        ((10, 4, 3), (5, 10, 3, 2), False, False),
        ((3,), (3,), False, False),
        ((3,), (10, 3, 2), True, False),
        ((10, 4, 3), (3,), False, True),
    ],
)
def test_matmul(x: tuple[int, ...], y: tuple[int, ...], flip_x: bool, flip_y: bool) -> None:
    a, b = _random(*x), _random(*y, seed=1)
    first = torch.from_numpy(a.swapaxes(-1, -2) if flip_x and a.ndim > 1 else a)
    second = torch.from_numpy(b.swapaxes(-1, -2) if flip_y and b.ndim > 1 else b)
    _close(_run("matmul", x=a, y=b, transpose_x=flip_x, transpose_y=flip_y), torch.matmul(first, second))


def test_linear() -> None:
    x, weight, bias = _random(2, 5, 8), _random(3, 8, seed=1), _random(3, seed=2)
    _close(_run("linear", x=x, weight=weight, bias=bias), F.linear(*map(torch.from_numpy, (x, weight, bias))), 2e-6)
    _close(_run("linear", x=x, weight=weight), F.linear(*map(torch.from_numpy, (x, weight))), 2e-6)


@pytest.mark.parametrize(
    ("sides", "kernel", "strides", "pad", "dilations", "groups"),
    [
        ((32, 48), (16, 16), [16, 16], None, None, 1),
        ((9, 7), (3, 2), [2, 1], [1, 1, 0, 0], None, 1),
        ((9, 9), (3, 3), [2, 2], [1, 1, 2, 2], [2, 1], 2),
        ((9, 9), (3, 3), [1, 1], None, None, 4),
        ((11,), (3,), [2], [1, 1], [2], 1),
        ((5, 6, 7), (2, 3, 2), [1, 2, 1], None, None, 1),
    ],
)
def test_convolution(
    sides: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    pad: list[int] | None,
    dilations: list[int] | None,
    groups: int,
) -> None:
    x, weight, bias = _random(2, 4, *sides), _random(8, 4 // groups, *kernel, seed=1), _random(8, seed=2)
    reference = (F.conv1d, F.conv2d, F.conv3d)[len(sides) - 1]
    expected = reference(
        *map(torch.from_numpy, (x, weight, bias)),
        stride=strides,
        padding=[0] * len(sides) if pad is None else pad[::2],
        dilation=dilations or 1,
        groups=groups,
    )
    given: dict[str, Any] = {"pad_type": "valid"} if pad is None else {"pad_type": "custom", "pad": pad}
    given |= {} if dilations is None else {"dilations": dilations}
    _close(_run("conv", x=x, weight=weight, bias=bias, strides=strides, groups=groups, **given), expected, 2e-5)


def test_uneven_padding() -> None:
    x, weight = _random(1, 2, 5, 5), _random(3, 2, 3, 3, seed=1)
    padded = F.pad(torch.from_numpy(x), (0, 1, 2, 0))
    found = _run("conv", x=x, weight=weight, pad_type="custom", pad=[2, 0, 0, 1])
    _close(found, F.conv2d(padded, torch.from_numpy(weight)), 2e-6)


@pytest.mark.parametrize(
    ("shape", "to", "result"),
    [
        ((2, 3, 4), [6, 4], (6, 4)),
        ((2, 3, 4), [2, -1], (2, 12)),
        ((2, 3, 4), [0, 0, 0], (2, 3, 4)),
        ((2, 50), [1, 0, -1, 0], (1, 1, 2, 50)),  # the example in coremltools' documentation
        ((2, 3, 4), [-1, 0], (6, 4)),
    ],
)
def test_reshape(shape: tuple[int, ...], to: list[int], result: tuple[int, ...]) -> None:
    x = _random(*shape)
    np.testing.assert_array_equal(_run("reshape", x=x, shape=to), x.reshape(result))


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"begin": [0, 1, 0], "end": [2, 3, 4]}, np.s_[0:2, 1:3, 0:4]),
        ({"begin": [0, -2, 0], "end": [2, -1, 4]}, np.s_[:, -2:-1, :4]),
        ({"begin": [9, 9, 1], "end": [0, 0, 4], "begin_mask": [1, 1, 0], "end_mask": [1, 1, 0]}, np.s_[:, :, 1:4]),
        ({"begin": [0, 0, 1], "end": [2, 5, 6], "stride": [1, 2, 3]}, np.s_[0:2, 0:5:2, 1:6:3]),
        (
            {"begin": [0, 4, 0], "end": [0, 0, 0], "stride": [1, -2, 1], "end_mask": [1, 1, 1]},
            np.s_[:, 4::-2, :],
        ),
        ({"begin": [0, 3, 0], "end": [2, 0, 6], "squeeze_mask": [0, 1, 0]}, np.s_[0:2, 3, 0:6]),
        ({"begin": [1, -1, 2], "end": [0, 0, 0], "squeeze_mask": [1, 1, 1]}, np.s_[1, -1, 2]),
        (
            {"begin": [1, 9, 2], "end": [2, 9, 3], "begin_mask": [0, 1, 0], "squeeze_mask": [0, 1, 0]},
            np.s_[1:2, 0, 2:3],
        ),
    ],
)
def test_slice_by_index(given: dict[str, list[int]], index: Any) -> None:
    x = _random(2, 5, 6)
    masks = {name: np.array(value, bool) for name, value in given.items() if name.endswith("mask")}
    found = _run("slice_by_index", x=x, **{**given, **masks})
    np.testing.assert_array_equal(found, x[index])
    assert isinstance(found, np.ndarray)


def test_slice_by_size() -> None:
    x = _random(2, 5, 6)
    np.testing.assert_array_equal(_run("slice_by_size", x=x, begin=[0, 1, -2], size=[2, -1, 1]), x[:, 1:, -2:-1])
    for begin, size in (([0, 4, 0], [2, 2, 6]), ([0, 0, -7], [2, 5, 1]), ([0, 0, 0], [2, -2, 6])):
        with pytest.raises(VecaError, match=r"no -?\d elements"):
            _run("slice_by_size", x=x, begin=begin, size=size)


def test_concat_and_stack() -> None:
    a, b = _random(2, 3), _random(2, 3, seed=1)
    np.testing.assert_array_equal(_run("concat", values=(a, b), axis=-1), np.concatenate([a, b], 1))
    mixed = _run("concat", values=(a, b), axis=0, interleave=True)
    np.testing.assert_array_equal(mixed, np.stack([a[0], b[0], a[1], b[1]]))
    np.testing.assert_array_equal(_run("concat", values=(a, b), axis=-1, interleave=True)[:, ::2], a)
    np.testing.assert_array_equal(_run("stack", values=(a, b), axis=-1), np.stack([a, b], -1))
    np.testing.assert_array_equal(_run("stack", values=(a, b), axis=1), np.stack([a, b], 1))


def test_split() -> None:
    x = _random(2, 6)
    for found, expected in zip(_run("split", x=x, axis=1, num_splits=3), np.split(x, 3, 1), strict=True):
        np.testing.assert_array_equal(found, expected)
    first, second, third = _run("split", x=x, axis=-1, split_sizes=[1, 3, 2])
    np.testing.assert_array_equal(np.concatenate([first, second, third], 1), x)
    assert (first.shape, second.shape, third.shape) == ((2, 1), (2, 3), (2, 2))


def test_axes_come_and_go() -> None:
    x = _random(1, 3, 1)
    assert _run("expand_dims", x=x, axes=[0, -1]).shape == (1, 1, 3, 1, 1)
    assert _run("squeeze", x=x).shape == (3,)
    assert _run("squeeze", x=x, axes=[-1, 1]).shape == (1, 3)
    np.testing.assert_array_equal(_run("transpose", x=x, perm=[1, 0, -1]), x.transpose(1, 0, 2))
    np.testing.assert_array_equal(_run("tile", x=x, reps=[2, 1, 3]), np.tile(x, (2, 1, 3)))


def test_classify() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3]], np.float32)
    label, all_of_them = _run("classify", probabilities=probabilities, classes=["a", "b", "c"])
    assert (label.item(), label.shape) == ("b", ())
    np.testing.assert_array_equal(all_of_them, probabilities[0])


_X = _random(2, 3)
_BIG = np.broadcast_to(np.float32(1), (2**15, 1))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("add", {"x": _X, "y": np.ones((2, 3), np.int32)}),
        ("add", {"x": _BIG, "y": _BIG.T}),
        ("add", {"x": np.array("a"), "y": np.array("b")}),
        ("real_div", {"x": np.array([7]), "y": np.array([2])}),
        ("tanh", {"x": np.ones(3, np.int32)}),
        ("matmul", {"x": _BIG, "y": _BIG.T}),
        ("matmul", {"x": np.float32(1) * np.ones(()), "y": _X}),
        ("linear", {"x": _BIG, "weight": _BIG}),
        ("linear", {"x": _X, "weight": _random(4, 3), "bias": _random(1)}),
        ("conv", {"x": _random(1, 1, 4, 4), "weight": _random(1, 1, 2, 2), "pad_type": "same"}),
        (
            "conv",
            {"x": _random(1, 1, 4, 4), "weight": _random(1, 1, 2, 2), "pad_type": "custom", "pad": [60000] * 4},
        ),
        ("conv", {"x": _random(1, 1, 4, 4), "weight": _random(1, 1, 2, 2), "strides": [0, 1]}),
        ("conv", {"x": _random(1, 3, 4, 4), "weight": _random(2, 1, 2, 2)}),
        ("layer_norm", {"x": _X, "axes": [-1], "gamma": _random(2)}),
        (
            "scaled_dot_product_attention",
            {"query": _random(1, 2, 4), "key": _random(3, 2, 4), "value": _random(3, 2, 4)},
        ),
        ("split", {"x": _X, "axis": 1, "num_splits": 2}),
        ("split", {"x": _X, "axis": 1, "split_sizes": [1, 1]}),
        ("split", {"x": _X, "axis": 1, "split_sizes": [-1, 4]}),
        ("tile", {"x": _X, "reps": [2**20, 2**20]}),
        ("tile", {"x": _X, "reps": [-1, 1]}),
        ("concat", {"values": (_X, _X.astype(np.int32)), "axis": 0}),
        ("slice_by_index", {"x": _X, "begin": [0], "end": [1]}),
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
