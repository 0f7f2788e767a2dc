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
    sparse_to_dense,
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

    data, scale, offset = _ints(-8, 8, 4, 6), _floats(*blocks), _ints(-8, 8, *blocks)
    np.testing.assert_allclose(
        blockwise_shift_scale(data, scale), reference.decompress(data, scale, None), rtol=1e-6
    )
    found = blockwise_shift_scale(data, scale, offset)
    np.testing.assert_allclose(found, reference.decompress(data, scale, offset), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "palettes", "width", "axis"),
    [
        ((6, 2), (2, 1), 1, None),
        ((6, 4), (3, 2), 1, None),
        ((4, 4), (1, 1), 3, 0),
        ((4, 6), (2, 3), 2, 1),
        ((4, 6, 2), (2, 3, 1), 2, -1),
    ],
)
def test_palettes(shape: tuple[int, ...], palettes: tuple[int, ...], width: int, axis: int | None) -> None:
    from coremltools.optimize._utils import lut_to_dense as reference

    indices, lut = _ints(0, 16, *shape), _floats(*palettes, 16, width)
    found = lut_to_dense(indices, lut, vector_axis=None if axis is None else np.array(axis))
    np.testing.assert_array_equal(found, reference(indices, lut, axis))


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_the_older_palettes(bits: int) -> None:
    numbers, lut = RANDOM.integers(0, 2**bits, 15), _floats(2**bits)
    packed = np.packbits(((numbers[:, None] >> np.arange(bits)) & 1).reshape(-1), bitorder="little").astype(
        np.uint8
    )
    found = lut_to_dense(packed, lut, shape=np.array([3, 5], np.uint32))
    np.testing.assert_array_equal(found, lut[numbers].reshape(3, 5))


def test_sparse() -> None:
    mask = RANDOM.random((3, 5)) < 0.4
    values = _floats(int(mask.sum()))
    expected = np.zeros((3, 5), np.float32)
    expected[mask] = values
    np.testing.assert_array_equal(sparse_to_dense(values, mask.astype(np.uint8)), expected)
    packed = np.packbits(mask.reshape(-1), bitorder="little")
    np.testing.assert_array_equal(sparse_to_dense(values, packed, np.array([3, 5])), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(4, 4)),
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(0, 1)),
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(4)),
        lambda: blockwise_shift_scale(_ints(0, 9, 4, 6), _floats(4, 1), _ints(0, 9, 1, 1)),
        lambda: affine_dequantize(_ints(0, 9, 4, 6), _ints(0, 9, 6), _floats(4), np.array(0)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6) + 20, _floats(1, 1, 16, 1)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6), _floats(3, 1, 16, 1)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6), _floats(1, 1, 16, 2)),
        lambda: lut_to_dense(_ints(0, 9, 4, 6), _floats(1, 1, 16, 2), vector_axis=np.array(2)),
        lambda: lut_to_dense(_ints(0, 9, 4), _floats(3), shape=np.array([4])),
        lambda: lut_to_dense(_ints(0, 9, 4), _floats(16), shape=np.array([2**40])),
        lambda: sparse_to_dense(_floats(3), np.ones(4, np.uint8)),
        lambda: sparse_to_dense(_floats(3), np.ones(4, np.uint8), np.array([7])),
    ],
)
def test_parts_that_do_not_fit_are_refused(call: Any) -> None:
    with pytest.raises(VecaError):
        call()


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "int8": {"dtype": "int8", "granularity": "per_channel"},
    "int8 with offsets": {"mode": "linear", "dtype": "uint8", "granularity": "per_tensor"},
    "int4": {"dtype": "int4", "granularity": "per_block", "block_size": 8},
    "uint4 with offsets": {"mode": "linear", "dtype": "uint4", "granularity": "per_block", "block_size": 4},
    "palette of 1": {"nbits": 1},
    "palette of 2": {"nbits": 2},
    "palette of 3": {"nbits": 3},
    "palette of 4": {"nbits": 4, "granularity": "per_grouped_channel", "group_size": 4},
    "palette of 4 for all": {"nbits": 4},
    "palette of 6": {"nbits": 6},
    "palette of 8": {"nbits": 8},
    "sparse": {"target_sparsity": 0.5},
}


FOR_IOS17 = (
    "int8",
    "int8 with offsets",
    "palette of 1",
    "palette of 2",
    "palette of 4 for all",
    "palette of 6",
    "sparse",
)
CASES = [("iOS18", name) for name in CONFIGURATIONS] + [("iOS17", name) for name in FOR_IOS17]


@pytest.mark.parametrize(("target", "name"), CASES)
def test_in_a_package(write: Any, target: str, name: str) -> None:
    """A compressed model computes what coremltools says its decompressed weights compute."""
    import coremltools as ct
    import coremltools.optimize.coreml as optimize

    given = CONFIGURATIONS[name]
    weight, x = _floats(16, 16), _floats(3, 16)
    package = write(lambda mb, x: mb.linear(x=x, weight=weight, name="y"), x.shape, getattr(ct.target, target))
    model = ct.models.MLModel(str(package.path), skip_model_load=True)
    if "nbits" in given:
        config = optimize.OpPalettizerConfig(mode="uniform", weight_threshold=0, **given)
        compress = optimize.palettize_weights
    elif "target_sparsity" in given:
        config, compress = optimize.OpMagnitudePrunerConfig(weight_threshold=0, **given), optimize.prune_weights
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
