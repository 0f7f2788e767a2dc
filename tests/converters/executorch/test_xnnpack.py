"""Every node the builder writes, run by ExecuTorch and compared with numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.known import known

torch = pytest.importorskip("torch")

from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (  # noqa: E402
    serialize_xnnpack_binary,
)

from veca_edge.converters.executorch.program import Method, assemble  # noqa: E402
from veca_edge.converters.executorch.xnnpack import ConstantStore, GraphBuilder, Value  # noqa: E402
from veca_edge.converters.graph.weights import Weight, nearest, round_rows  # noqa: E402
from veca_edge.converters.recipes import Precision  # noqa: E402
from veca_edge.runtime.engines.binding import load_binding  # noqa: E402

Float = NDArray[np.float32]
Build = Callable[[GraphBuilder, list[Value]], Value]


def _run(build: Build, *inputs: Float, bounds: list[tuple[int, ...]] | None = None) -> Float:
    """Build a graph for the inputs' shapes (or for larger ones) and run it on the inputs."""
    store = ConstantStore()

    def graph(shapes: list[tuple[int, ...]]) -> GraphBuilder:
        builder = GraphBuilder(store)
        builder.output(build(builder, [builder.input(shape) for shape in shapes]))
        return builder

    own = [array.shape for array in inputs]
    method = Method(graph(own)) if bounds is None else Method(graph([(2, *s[1:]) for s in own]), graph(bounds))
    program = assemble({"f": method}, store)  # the module reads from it without keeping it alive
    module = load_binding()._load_for_executorch_from_buffer(program)
    result: Float = module.run_method("f", [torch.from_numpy(a) for a in inputs])[0].numpy()
    return result


def _random(*shape: int) -> Float:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _softmax(x: Float) -> Float:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("square", np.square),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("tanh", np.tanh),
        ("cos", np.cos),
        ("sin", np.sin),
        ("softmax", _softmax),
    ],
)
def test_unary_nodes(name: str, reference: Callable[[Float], Float]) -> None:
    x = 3 * _random(7, 12)
    np.testing.assert_allclose(_run(lambda g, v: getattr(g, name)(v[0]), x), reference(x), atol=2e-6, rtol=2e-5)


def test_rsqrt() -> None:
    x = np.asarray(np.abs(_random(5, 3)) + 0.1, np.float32)
    np.testing.assert_allclose(_run(lambda g, v: g.rsqrt(v[0]), x), 1 / np.sqrt(x), rtol=1e-5)


@pytest.mark.parametrize(("name", "reference"), [("add", np.add), ("sub", np.subtract), ("mul", np.multiply)])
@pytest.mark.parametrize("other", [(6, 8), (1, 8), (6, 1), (8,)])
def test_binary_nodes_broadcast(name: str, reference: Callable[..., Float], other: tuple[int, ...]) -> None:
    a, b = _random(6, 8), _random(*other)
    np.testing.assert_allclose(_run(lambda g, v: getattr(g, name)(v[0], v[1]), a, b), reference(a, b), atol=1e-6)


def test_products_by_batch() -> None:
    a, b = _random(3, 5, 8), _random(3, 8, 6)
    np.testing.assert_allclose(_run(lambda g, v: g.matmul(v[0], v[1]), a, b), a @ b, atol=1e-5)
    c = np.ascontiguousarray(b.transpose(0, 2, 1))
    found = _run(lambda g, v: g.matmul(v[0], v[1], transpose_b=True), a, c)
    np.testing.assert_allclose(found, a @ b, atol=1e-5)


def test_shapes() -> None:
    x = _random(6, 8)
    np.testing.assert_array_equal(_run(lambda g, v: g.reshape(v[0], (-1, 2, 4)), x), x.reshape(6, 2, 4))
    np.testing.assert_array_equal(_run(lambda g, v: g.transpose(v[0], (1, 0)), x), x.T)
    np.testing.assert_array_equal(_run(lambda g, v: g.slice(v[0], 1, 3, 4), x), x[:, 3:7])
    np.testing.assert_array_equal(_run(lambda g, v: g.concat([v[0], v[0]], 1), x), np.concatenate([x, x], 1))


@pytest.mark.parametrize("rows", [1, 2, 9, 40])
def test_slices_and_reshapes_follow_dynamic_rows(rows: int) -> None:
    """The general lowering refuses these; the first plan here is for two rows, the bound is forty."""
    x = _random(rows, 12)

    def build(g: GraphBuilder, v: list[Value]) -> Value:
        split = g.transpose(g.reshape(v[0], (-1, 3, 4)), (1, 0, 2))
        return g.slice(split, 0, 1, 2)

    found = _run(build, x, bounds=[(40, 12)])
    np.testing.assert_array_equal(found, x.reshape(rows, 3, 4).transpose(1, 0, 2)[1:3])


def test_float_linear() -> None:
    x, matrix, bias = _random(5, 16), _random(7, 16), _random(7)
    found = _run(lambda g, v: g.linear(v[0], Weight("w", matrix, bias)), x)
    np.testing.assert_allclose(found, x @ matrix.T + bias, atol=1e-5)


def test_int8_linear_rounds_activations_by_row() -> None:
    x = _random(6, 64) * np.logspace(-3, 3, 6, dtype=np.float32)[:, None]
    matrix, bias = _random(32, 64), _random(32)
    data, scale = round_rows(matrix)
    found = _run(lambda g, v: g.linear(v[0], Weight("w", data, bias, scale)), x)
    expected = x @ (data * scale[:, None]).T + bias
    # Each row has a scale of its own, so rows a million times smaller keep their precision.
    error = np.abs(found - expected).max(axis=1) / np.abs(x).max(axis=1)
    assert error.max() < 0.15
    assert error.min() > 0  # it did round


@pytest.mark.parametrize("rows", [1, 9, 40])
@pytest.mark.parametrize(("inputs", "outputs"), [(32, 8), (192, 50), (1024, 33)])
def test_int4_linear(rows: int, inputs: int, outputs: int) -> None:
    """Rows are dynamic. Every input has a different weight, so that two nibbles in the wrong order would show."""
    x, matrix, bias = _random(rows, inputs), _random(outputs, inputs), _random(outputs)
    weight = nearest(Weight("w", matrix, bias), "int4")
    found = _run(lambda g, v: g.linear(v[0], weight), x, bounds=[(40, inputs)])
    expected = x @ weight.values.T + bias
    assert 0 < np.linalg.norm(found - expected) < 0.012 * np.linalg.norm(expected)  # activations are int8


def test_constants_can_be_read_by_any_node() -> None:
    x, gain = _random(5, 6), _random(6)
    found = _run(lambda g, v: g.mul(v[0], g.constant("gain", gain)), x)
    np.testing.assert_allclose(found, x * gain, atol=1e-6)
    table = _random(9, 6)
    found = _run(lambda g, v: g.add(g.slice(g.constant("table", table), 0, 2, 1), v[0]), x)
    np.testing.assert_allclose(found, x + table[2:3], atol=1e-6)


def test_the_same_name_and_bytes_are_stored_once() -> None:
    store, matrix = ConstantStore(), _random(8, 8)
    for _ in range(3):
        g = GraphBuilder(store)
        x = g.input((2, 8))
        g.output(g.linear(g.linear(x, Weight("w", matrix, None)), Weight("w", matrix, None)))
    assert len(store.blobs) == 1


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_other_bytes_under_the_same_name_get_another_key(precision: Precision) -> None:
    """The runtime's cache of packed weights would else hand one model another's weights."""
    keys = []
    for factor in (1, 2):
        store = ConstantStore()
        g = GraphBuilder(store)
        weight = nearest(Weight("w", _random(8, 32), None), precision)
        g.linear(g.input((2, 32)), Weight("w", weight.data, None, np.float32(factor) * known(weight.scale)))
        keys += [key for key in store.blobs if not key.endswith(".scale")]
    assert len(set(keys)) == 2


def test_one_key_is_one_value() -> None:
    store = ConstantStore()
    store.add("a", np.zeros(3))
    with pytest.raises(ValueError, match="two different values"):
        store.add("a", np.ones(3))


def test_the_bytes_are_those_of_executorchs_own_encoder() -> None:
    builder = GraphBuilder(ConstantStore())
    row = builder.input((2, 64))
    for precision in ("fp32", "int8", "int4"):
        row = builder.linear(row, nearest(Weight(precision, _random(64, 64), None), precision))
    builder.output(builder.softmax(row))
    assert builder.serialize() == serialize_xnnpack_binary(replace(builder._graph, num_externs=2), bytearray())
