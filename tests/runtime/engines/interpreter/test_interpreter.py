"""Whole programs: what is computed, in what precision, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.modelfile.mlprogram.saved_packages import edit
from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.package import open_package
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)


def _run(path: Path, precision: Any = "fp32") -> dict[str, Any]:
    return Interpreter(open_package(path), precision=precision).run({"x": X})


def test_a_linear_layer(linear_package: Path) -> None:
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((16, 8)), random.standard_normal(16)
    found = _run(linear_package)
    assert list(found) == ["y"]
    np.testing.assert_allclose(found["y"], np.tanh(X @ weight.T.astype(np.float32) + bias), rtol=2e-6, atol=1e-6)


def test_several_operators_in_one_program(write: Any) -> None:
    def build(mb: Any, x: Any) -> Any:
        first, second = mb.split(x=x, split_sizes=[4, 4], axis=1)
        both = mb.concat(values=[second, first], axis=1)
        turned = mb.transpose(x=mb.reshape(x=both, shape=[4, 4]), perm=[1, 0])
        part = mb.slice_by_size(x=turned, begin=[1, 0], size=[3, 1])
        return mb.reduce_mean(x=mb.mul(x=part, y=np.float32(2)), axes=[0], keep_dims=True, name="y")

    package = write(build, X.shape)
    expected = 2 * np.concatenate([X[:, 4:], X[:, :4]], 1).reshape(4, 4).T[1:, :1].mean(0, keepdims=True)
    np.testing.assert_allclose(Interpreter(package).run({"x": X})["y"], expected, rtol=1e-5)


def test_fp16_is_rounded_after_every_operation(write: Any) -> None:
    package = write(
        lambda mb, x: mb.mul(x=mb.mul(x=x, y=np.float32(3)), y=np.float32(0.1), name="y"), X.shape, half=True
    )
    exact = Interpreter(package, precision="fp32").run({"x": X})["y"]
    rounded = Interpreter(package, precision="fp16").run({"x": X})["y"]
    tenth = np.float16(0.1)
    np.testing.assert_array_equal(rounded, (X.astype(np.float16) * np.float16(3) * tenth).astype(np.float32))
    np.testing.assert_allclose(exact, X * np.float32(3) * np.float32(tenth), rtol=1e-6)
    assert (exact != rounded).any()


def test_fp16_overflows(write: Any) -> None:
    def twice(mb: Any, x: Any) -> Any:
        square = mb.mul(x=x, y=x)
        return mb.mul(x=square, y=square, name="y")

    package = write(twice, X.shape, half=True)
    seen: dict[str, float] = {}
    found = Interpreter(package, precision="fp16").run(
        {"x": np.full_like(X, 30)},
        lambda operation, _, value: seen.update({operation.kind: float(np.abs(value).max())}),
    )
    assert np.isinf(found["y"]).all()
    assert seen["mul"] == 810_000
    np.testing.assert_array_equal(Interpreter(package).run({"x": np.full_like(X, 30)})["y"], 810_000)


def test_an_observer_sees_every_value(linear_package: Path) -> None:
    seen: list[tuple[str, str, tuple[int, ...]]] = []
    Interpreter(open_package(linear_package)).run(
        {"x": X}, lambda operation, variable, value: seen.append((operation.kind, variable.name, value.shape))
    )
    assert seen == [("linear", "product", (2, 16)), ("tanh", "y", (2, 16))]


def test_outputs_belong_to_the_caller(linear_package: Path) -> None:
    interpreter = Interpreter(open_package(linear_package))
    first = interpreter.run({"x": X})["y"]
    first[:] = 0
    assert interpreter.run({"x": X})["y"].any()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "it takes the inputs x, not none"),
        ({"x": X, "z": X}, "it takes the inputs x, not x, z"),
        ({"x": X[:1]}, r"float32 \(1, 8\), expected fp32 2×8"),
        ({"x": X.astype(np.int32)}, "int32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(linear_package: Path, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        Interpreter(open_package(linear_package)).run(inputs)


def test_unknown_names_are_refused(linear_package: Path) -> None:
    with pytest.raises(VecaError, match="no function 'other': it has main"):
        Interpreter(open_package(linear_package), "other")
    with pytest.raises(VecaError, match="precision 'fp8': use fp32 or fp16"):
        Interpreter(open_package(linear_package), precision="fp8")  # type: ignore[arg-type]


def _operation(function: Any, kind: str) -> Any:
    block = next(iter(function.block_specializations.values()))
    return next(operation for operation in block.operations if operation.type == kind)


def _newer_opset(function: Any) -> None:
    function.block_specializations["CoreML9"].CopyFrom(function.block_specializations["CoreML8"])
    function.opset = "CoreML9"


def _unknown_operator(function: Any) -> None:
    _operation(function, "tanh").type = "scaled_tanh"


def _unknown_parameter(function: Any) -> None:
    _operation(function, "tanh").inputs["alpha"].CopyFrom(_operation(function, "tanh").inputs["x"])


def _missing_parameter(function: Any) -> None:
    del _operation(function, "linear").inputs["weight"]


def _unknown_attribute(function: Any) -> None:
    _operation(function, "tanh").attributes["mode"].CopyFrom(_operation(function, "tanh").attributes["name"])


def _nested_block(function: Any) -> None:
    _operation(function, "tanh").blocks.add()


def _unknown_type(function: Any) -> None:
    _operation(function, "tanh").outputs[0].type.tensorType.dataType = 13  # bfloat16


def _other_type(function: Any) -> None:
    _operation(function, "tanh").outputs[0].type.tensorType.dataType = 23  # int32


def _other_shape(function: Any) -> None:
    _operation(function, "linear").outputs[0].type.tensorType.dimensions[1].constant.size = 17


def _huge_shape(function: Any) -> None:
    _operation(function, "linear").outputs[0].type.tensorType.dimensions[1].constant.size = 2**62


def _huge_constant(function: Any) -> None:
    for side in _operation(function, "const").outputs[0].type.tensorType.dimensions:
        side.constant.size = 2**24
    value = _operation(function, "const").attributes["val"]
    for side in value.type.tensorType.dimensions:
        side.constant.size = 2**24


def _flexible_shape(function: Any) -> None:
    function.inputs[0].type.tensorType.dimensions[0].unknown.variadic = False


def _used_before_made(function: Any) -> None:
    _operation(function, "linear").inputs["x"].arguments[0].name = "y"


def _made_twice(function: Any) -> None:
    _operation(function, "tanh").outputs[0].name = "product"


def _no_such_output(function: Any) -> None:
    function.block_specializations["CoreML8"].outputs[0] = "nothing"


def _two_operands(function: Any) -> None:
    _operation(function, "tanh").inputs["x"].arguments.add().name = "product"


def _not_in_that_opset(function: Any) -> None:
    _operation(function, "tanh").type = "scaled_dot_product_attention"
    function.block_specializations["CoreML7"].CopyFrom(function.block_specializations["CoreML8"])
    function.opset = "CoreML7"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_newer_opset, "opset CoreML9 is not supported"),
        (_unknown_operator, "operators that are not supported by this interpreter: scaled_tanh"),
        (_unknown_parameter, "tanh y: this form is not supported by this interpreter: .*unexpected"),
        (_missing_parameter, "linear product: this form is not supported by this interpreter: .*weight"),
        (_unknown_attribute, "tanh y: attributes that are not supported by this interpreter: mode"),
        (_nested_block, "blocks of their own"),
        (_unknown_type, "data type 13 is not supported"),
        (_other_type, "the program declares int32 2×16"),
        (_other_shape, r"linear product: it gives float32 \(2, 16\), the program declares fp32 2×17"),
        (_huge_shape, "too large"),
        (_huge_constant, "too large"),
        (_flexible_shape, "flexible shapes"),
        (_used_before_made, "it reads y, which no earlier operation computes"),
        (_made_twice, "two variables have one name"),
        (_no_such_output, "it does not compute its output nothing"),
        (_two_operands, "2 operands for x"),
        (_not_in_that_opset, "opset CoreML7 does not have: scaled_dot_product_attention"),
    ],
)
def test_what_is_not_known_is_refused(copied: Path, change: Any, message: str) -> None:
    edit(copied, lambda model: change(model.mlProgram.functions["main"]))
    with pytest.raises(VecaError, match=message) as caught:
        _run(copied)
    assert str(caught.value).startswith(str(copied))
    assert "\n" not in str(caught.value)


def test_a_program_that_takes_too_much_memory_stops(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from veca_edge.runtime.engines.interpreter import interpreter

    package = open_package(copied)
    ready = Interpreter(package)
    monkeypatch.setattr(interpreter, "MAX_BYTES", 600)
    with pytest.raises(VecaError, match="it takes more than"):
        ready.run({"x": X})
    monkeypatch.setattr(interpreter, "MAX_BYTES", 500)
    with pytest.raises(VecaError, match="its constants take"):
        Interpreter(package)


def test_images_are_uint8_of_their_size() -> None:
    from veca_edge.modelfile.mlprogram.package import Feature
    from veca_edge.modelfile.mlprogram.values import TensorType
    from veca_edge.runtime.engines.interpreter.interpreter import _image

    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    tensor = TensorType("fp32", (1, 3, 4, 6))
    for order, channels in (("RGB", image), ("BGR", image[..., ::-1])):
        found = _image(image, Feature("image", "image", (4, 6), order, ""), tensor)
        np.testing.assert_array_equal(found[0].transpose(1, 2, 0), channels)
    for value in (image[:3], image.astype(np.float32), image[..., :1]):
        with pytest.raises(VecaError, match="expected uint8"):
            _image(value, Feature("image", "image", (4, 6), "RGB", ""), tensor)
    with pytest.raises(VecaError, match="GRAYSCALE"):
        _image(image, Feature("image", "image", (4, 6), "GRAYSCALE", ""), tensor)


def test_a_program_that_takes_hours_is_refused_before_it_starts(write: Any) -> None:
    def build(mb: Any, x: Any) -> Any:
        for _ in range(70):
            x = mb.sin(x=x)
        return x

    with pytest.raises(VecaError, match="far longer to compute than a model with so few weights"):
        Interpreter(write(build, (2**23,)))
