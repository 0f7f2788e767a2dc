"""Compressed weights, against what coremltools makes of the same constants, and against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.package import open_package
from veca_edge.runtime.engines.interpreter.compressed import (
    affine_dequantize,
    blockwise_shift_scale,
    lut_to_dense,
)
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

RANDOM = np.random.default_rng(0)


def _floats(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.standard_normal(shape).astype(np.float32)


def _ints(low: int, high: int, *shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.integers(low, high, shape).astype(np.int8 if low < 0 else np.uint8)


@pytest.mark.parametrize("axis", [0, -1])
def test_affine_dequantize(axis: int) -> None:
    data = _ints(-128, 128, 4, 6)
    scale, zero = _floats(data.shape[axis]), _ints(-10, 10, data.shape[axis])
    found = affine_dequantize(data, zero, scale, np.array(axis))
    spread = [-1, 1] if axis == 0 else [1, -1]
    expected = (data.astype(float) - zero.reshape(spread)) * scale.reshape(spread)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    same = affine_dequantize(data, np.array(3, np.int8), np.array(0.5, np.float32), np.array(axis))
    np.testing.assert_array_equal(same, (data.astype(np.float32) - 3) / 2)


@pytest.mark.parametrize("blocks", [(4, 1), (4, 3), (2, 6), (1, 1)])
def test_blocks_of_scales(blocks: tuple[int, int]) -> None:
    from coremltools.converters.mil.mil.ops.defs.iOS18.compression import (
        constexpr_blockwise_shift_scale as reference,
    )

    data, scale = _ints(-8, 8, 4, 6), _floats(*blocks)
    found = blockwise_shift_scale(data, scale)
    np.testing.assert_allclose(found, reference.decompress(data, scale, None), rtol=1e-6)


@pytest.mark.parametrize(("shape", "palettes"), [((6, 2), (2, 1)), ((6, 4), (3, 2)), ((4, 6, 2), (2, 3, 1))])
def test_palettes(shape: tuple[int, ...], palettes: tuple[int, ...]) -> None:
    from coremltools.optimize._utils import lut_to_dense as reference

    indices, lut = _ints(0, 16, *shape), _floats(*palettes, 16, 1)
    np.testing.assert_array_equal(lut_to_dense(indices, lut), reference(indices, lut, None))


@pytest.mark.parametrize(
    "call",
    [
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(4, 4)),
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(0, 1)),
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(4)),
        lambda: affine_dequantize(_ints(0, 9, 4, 6), _ints(0, 9, 6), _floats(4), np.array(0)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6) + 20, _floats(1, 1, 16, 1)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6), _floats(3, 1, 16, 1)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6), _floats(1, 1, 16, 2)),
    ],
)
def test_parts_that_do_not_fit_are_refused(call: Any) -> None:
    with pytest.raises(VecaError):
        call()


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "int8": {"dtype": "int8", "granularity": "per_channel"},
    "int8 with an offset": {"mode": "linear", "dtype": "uint8", "granularity": "per_tensor"},
    "int4": {"dtype": "int4", "granularity": "per_block", "block_size": 8},
    "palette of 4": {"nbits": 4, "granularity": "per_grouped_channel", "group_size": 4},
    "palette of 6": {"nbits": 6},
}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("iOS18", "int8"),
        ("iOS18", "int4"),
        ("iOS18", "palette of 4"),
        ("iOS18", "palette of 6"),
        ("iOS17", "int8"),
        ("iOS17", "int8 with an offset"),
    ],
)
def test_in_a_package(write: Any, target: str, name: str) -> None:
    """A compressed model computes what coremltools says its decompressed weights compute."""
    import coremltools as ct
    import coremltools.optimize.coreml as optimize

    given = CONFIGURATIONS[name]
    weight, x = _floats(16, 16), _floats(3, 16)
    package = write(
        lambda mb, x: mb.linear(x=x, weight=weight, bias=np.zeros(16, np.float32), name="y"),
        x.shape,
        getattr(ct.target, target),
    )
    model = ct.models.MLModel(str(package.path), skip_model_load=True)
    if "nbits" in given:
        config = optimize.OpPalettizerConfig(mode="uniform", weight_threshold=0, **given)
        compress = optimize.palettize_weights
    else:
        config = optimize.OpLinearQuantizerConfig(weight_threshold=0, **{"mode": "linear_symmetric", **given})
        compress = optimize.linear_quantize_weights
    small = compress(model, optimize.OptimizationConfig(config))
    outputs = []
    for number, saved in enumerate((small, optimize.decompress_weights(small))):
        path = package.path.with_name(f"{number}-{package.path.name}")
        saved.save(str(path))
        opened = open_package(path)
        outputs.append(Interpreter(opened).run({"x": x})["y"])
        compressed = any(kind.startswith("constexpr") for kind in opened.functions["main"].operation_counts)
        assert compressed == (number == 0)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    assert np.abs(outputs[0] - x @ weight.T).max() > 1e-4
