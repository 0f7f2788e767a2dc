"""Magnitudes of values: large, tiny, by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from veca_edge.converters.coreml.neural_engine.ranges import Ranges
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

X = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)


def _ranges(package: Any, *inputs: Any) -> Ranges:
    interpreter, ranges = Interpreter(package), Ranges()
    for x in inputs:
        interpreter.run({"x": x}, ranges.note)
    return ranges


def test_large_and_tiny_values(write: Any) -> None:
    package = write(lambda mb, x: mb.mul(x=x, y=np.float32(2), name="y"), X.shape)
    small = X.copy()
    small[0, :4] = [0, 1e-5, 2e-5, 1]
    (found,) = _ranges(package, X, small).magnitudes
    assert (found.name, found.kind, found.largest) == ("y", "mul", 2)
    assert (found.values, found.tiny) == (31, 2)
    assert found.tiny_share == pytest.approx(2 / 31)


@pytest.mark.parametrize(
    ("largest", "state"),
    [
        (16000, "fits"),
        (17000, "near overflow"),
        (65519, "near overflow"),
        (65520, "overflows"),
        (np.nan, "overflows"),
    ],
)
def test_near_the_end_of_float16(write: Any, largest: float, state: str) -> None:
    package = write(lambda mb, x: mb.add(x=x, y=np.float32(0), name="y"), X.shape)
    (found,) = _ranges(package, X, np.full_like(X, largest), X).magnitudes
    assert found.state == state
    assert found.share == pytest.approx(largest / 65504, nan_ok=True)


def test_layers_by_name(write: Any) -> None:
    def build(mb: Any, x: Any) -> Any:
        tokens = mb.mul(x=x, y=np.float32(3), name="tokens")
        first = mb.mul(x=mb.tanh(x=tokens, name="l0_at"), y=np.float32(7), name="l0_y")
        second = mb.mul(x=first, y=np.float32(1e-6), name="l1_y")
        return mb.mul(x=second, y=np.float32(5), name="final")

    layers = _ranges(write(build, X.shape), X).layers()
    assert [(layer.layer, layer.largest.name) for layer in layers] == [
        ("before the layers", "tokens"),
        ("layer 0", "l0_y"),
        ("layer 1", "l1_y"),
        ("after the layers", "final"),
    ]
    assert layers[1].largest.largest == pytest.approx(7 * np.tanh(3))
    assert layers[2].tiniest.tiny_share == 1


def test_other_names_are_one_group(write: Any) -> None:
    package = write(lambda mb, x: mb.tanh(x=mb.mul(x=x, y=np.float32(9), name="a"), name="b"), X.shape)
    (everything,) = _ranges(package, X).layers()
    assert (everything.layer, everything.largest.name) == ("all operations", "a")
