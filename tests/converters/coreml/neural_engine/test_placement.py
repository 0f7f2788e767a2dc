"""What is known of operations on the Neural Engine: each rule on a package that coremltools writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.modelfile.mlprogram.saved_packages import edit
from veca_edge.converters.coreml.neural_engine.placement import Placement, review
from veca_edge.converters.coreml.neural_engine.rules import RULES, SEEN
from veca_edge.modelfile.mlprogram.package import open_package
from veca_edge.modelfile.mlprogram.program import Function, Operation, Reference, Variable
from veca_edge.modelfile.mlprogram.values import TensorType

Build = Callable[[Any, Any], Any]


def _found(placement: Placement) -> dict[str, tuple[str, ...]]:
    return {finding.rule.name: finding.operations for finding in placement.findings}


def _weight(*shape: int) -> Any:
    return np.ones(shape, np.float16)


def _lstm(mb: Any, x: Any) -> Any:
    zero = mb.cast(x=np.zeros((1, 4), np.float32), dtype="fp16")
    return mb.lstm(
        x=x, initial_h=zero, initial_c=zero, weight_ih=_weight(16, 4), weight_hh=_weight(16, 4), name="hit"
    )[0]


def _gather(mb: Any, x: Any) -> Any:
    return mb.gather(x=x, indices=np.array([1, 0], np.int32), axis=0, name="hit")


def _kernel(side: int, **more: Any) -> Build:
    return lambda mb, x: mb.conv(x=x, weight=_weight(2, 3, side, side), name="hit", **more)


def _pool(mb: Any, x: Any) -> Any:
    return mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[3, 3], pad_type="valid", name="hit")


def _resample(mb: Any, x: Any) -> Any:
    places = mb.const(val=np.zeros((1, 2, 2, 2), np.float16))
    return mb.resample(
        x=x,
        coordinates=places,
        sampling_mode="nearest",
        padding_mode="constant",
        padding_value=np.float16(0),
        coordinates_mode="normalized_minus_one_to_one",
        align_corners=True,
        name="hit",
    )


def _blocks(mb: Any, x: Any) -> Any:
    scale = np.ones((4, 2), np.float16)
    weight = mb.constexpr_blockwise_shift_scale(data=np.ones((4, 8), np.int8), scale=scale, name="hit")
    return mb.linear(x=x, weight=weight, name="y")


CASES: list[tuple[str, tuple[int, ...], Build]] = [
    ("rank 5", (1, 2, 3, 4, 5), lambda mb, x: mb.relu(x=x, name="hit")),
    ("long side", (1, 16385), lambda mb, x: mb.relu(x=x, name="hit")),
    ("recurrent layer", (3, 1, 4), _lstm),
    ("gather", (4, 4), _gather),
    ("topk", (2, 8), lambda mb, x: mb.topk(x=x, k=2, axis=1, name="hit")[0]),
    ("resample", (1, 3, 8, 8), _resample),
    ("dilated convolution", (1, 3, 16, 16), _kernel(3, dilations=[2, 2])),
    ("large kernel", (1, 3, 32, 32), _kernel(16, strides=[16, 16])),
    ("pooling stride", (1, 3, 16, 16), _pool),
    (
        "upsampling",
        (1, 3, 4, 4),
        lambda mb, x: mb.upsample_nearest_neighbor(
            x=x, scale_factor_height=4.0, scale_factor_width=4.0, name="hit"
        ),
    ),
    ("softplus", (2, 8), lambda mb, x: mb.softplus(x=x, name="hit")),
    ("reduce_log_sum_exp", (2, 8), lambda mb, x: mb.reduce_log_sum_exp(x=x, axes=[1], name="hit")),
    ("scales per block", (2, 8), _blocks),
    ("single last axis", (1, 16380, 2, 1), lambda mb, x: mb.relu(x=x, name="hit")),
]


@pytest.mark.parametrize(("rule", "shape", "build"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_holds(write: Any, rule: str, shape: tuple[int, ...], build: Build) -> None:
    def halved(mb: Any, x: Any) -> Any:
        made = build(mb, mb.cast(x=x, dtype="fp16"))
        return mb.cast(x=made, dtype="fp32", name="result")

    found = _found(review(write(halved, shape).function()))
    assert list(found) == [rule]
    assert any(name.startswith("hit") for name in found[rule])


@pytest.mark.parametrize(
    ("shape", "build"),
    [
        ((1, 3, 32, 32), _kernel(13, strides=[2, 2])),
        ((1, 16384), lambda mb, x: mb.relu(x=x, name="hit")),
        ((1, 16380, 1), lambda mb, x: mb.relu(x=x, name="hit")),
    ],
)
def test_what_is_within_the_limits_is_clean(write: Any, shape: tuple[int, ...], build: Build) -> None:
    found = review(write(lambda mb, x: build(mb, mb.cast(x=x, dtype="fp16")), shape).function())
    assert found.findings == ()


def test_float32_leaves_it(linear_package: Path) -> None:
    placement = review(open_package(linear_package).function())
    assert _found(placement) == {"float32": ("product", "y")}
    assert (placement.seen, placement.unreported) == ((), ())


def test_open_shapes(copied: Path) -> None:
    def opened(model: Any) -> None:
        dimension = model.mlProgram.functions["main"].inputs[0].type.tensorType.dimensions[0]
        dimension.unknown.variadic = False

    edit(copied, opened)
    assert _found(review(open_package(copied).function()))["open shape"] == ("product",)


def _alone(kind: str, tensor: TensorType) -> Function:
    """A function of one operation, for what coremltools does not write."""
    x = Variable("x", tensor)
    operation = Operation(kind, {"x": (Reference("x"),)}, {}, (Variable("hit", tensor),))
    return Function("main", "CoreML8", (x,), (operation,), ("hit",))


@pytest.mark.parametrize(
    ("rule", "kind", "shape"),
    [
        ("rank above 5", "relu", (1, 1, 1, 1, 1, 2)),
        ("custom layer", "custom_layer", (1, 2)),
        ("width of a state", "read_state", (1, 270)),
        ("layer_norm of an open shape", "layer_norm", (-1, 8)),
    ],
)
def test_a_rule_holds_for_what_is_not_written_here(rule: str, kind: str, shape: tuple[int, ...]) -> None:
    assert rule in _found(review(_alone(kind, TensorType("fp16", shape))))


def test_every_rule_is_tried_and_names_its_source() -> None:
    tried = {case[0] for case in CASES} | {"float32", "open shape"}
    tried |= {"rank above 5", "custom layer", "width of a state", "layer_norm of an open shape"}
    assert tried == {rule.name for rule in RULES}
    assert all(rule.sources and all(rule.sources) and rule.reason.endswith(".") for rule in RULES)
    assert all(SEEN.values())


def test_the_rest_is_seen_or_unreported(write: Any) -> None:
    def build(mb: Any, x: Any) -> Any:
        return mb.tanh(x=mb.relu(x=mb.cast(x=x, dtype="fp16")), name="y")

    placement = review(write(build, (2, 8)).function())
    assert placement.findings == ()
    assert (placement.seen, placement.unreported) == (("relu",), ("cast", "tanh"))
