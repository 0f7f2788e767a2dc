"""Rounding of linear layers: what is stored, and what it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from veca_edge.converters.graph.weights import Weight, bfloat16, nearest, round_groups, round_rows
from veca_edge.converters.recipes import Precision

torch = pytest.importorskip("torch")

Float = NDArray[np.float32]


def _random(*shape: int) -> Float:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_int8_is_rounded_to_nearest_and_keeps_zero() -> None:
    matrix = np.array([[1.0, -0.5, 0.0], [0, 0, 0], [1e-3, 2e-3, -1.27e-1]], np.float32)
    data, scale = round_rows(matrix)
    assert data.dtype == np.int8
    np.testing.assert_array_equal(data[1], 0)
    assert np.abs(matrix - data * scale[:, None]).max() <= scale.max() / 2
    assert data.min() >= -127


def test_int4_has_a_scale_per_group_of_inputs() -> None:
    matrix = _random(6, 96) * np.repeat([1e-3, 1.0, 1e3], 32).astype(np.float32)
    matrix[2, 32:64] = 0
    data, scale = round_groups(matrix)
    assert (data.dtype.name, data.shape, scale.shape) == ("int8", (6, 96), (6, 3))
    assert data.min() >= -8
    assert data.max() <= 7
    np.testing.assert_array_equal(data[2, 32:64], 0)
    found = Weight("w", data, None, scale).values
    for group in np.split(np.arange(96), 3):  # groups a million times smaller keep their precision
        error = np.linalg.norm(found[:, group] - matrix[:, group]) / np.linalg.norm(matrix[:, group])
        assert 0.02 < error < 0.12


def test_scales_of_int4_are_bfloat16_and_positive() -> None:
    _, scale = round_groups(np.concatenate([_random(4, 64), np.zeros((1, 64), np.float32)]))
    np.testing.assert_array_equal(scale, torch.from_numpy(scale).bfloat16().float().numpy())
    assert (scale > np.finfo(np.float32).tiny).all()  # XNNPACK refuses others


def test_cutting_off_the_largest_weights_is_better_than_coarse_steps() -> None:
    matrix = _random(64, 128)
    data, scale = round_groups(matrix)
    groups = matrix.reshape(64, 4, 32)
    plain = bfloat16(np.abs(groups).max(2) / 7)[..., None]
    kept = np.clip(np.rint(groups / plain), -8, 7) * plain
    assert np.square(Weight("w", data, None, scale).values - matrix).sum() < 0.95 * np.square(kept - groups).sum()


def test_bfloat16_rounds_as_torch_does() -> None:
    values = np.concatenate(
        [_random(4096), 1 + np.arange(64, dtype=np.float32) / 1024, np.array([0, 1e-38], np.float32)]
    )
    np.testing.assert_array_equal(bfloat16(values), torch.from_numpy(values).bfloat16().float().numpy())


@pytest.mark.parametrize(("precision", "size", "error"), [("fp32", 4, 0), ("int8", 1, 0.01), ("int4", 0.5, 0.12)])
def test_every_precision_stands_for_nearly_the_same_values(precision: Precision, size: float, error: float) -> None:
    weight = Weight("w", _random(16, 64), _random(16))
    rounded = nearest(weight, precision)
    assert rounded.precision == precision
    stored: Float = np.asarray(weight.data, np.float32)
    assert np.linalg.norm(rounded.values - stored) <= error * np.linalg.norm(stored)
    scales = {"fp32": 0, "int8": 4 * 16, "int4": 2 * 16 * 2}[precision]
    assert rounded.stored_bytes == size * 16 * 64 + scales + 4 * 16


def test_inputs_that_do_not_divide_into_groups_stay_int8() -> None:
    assert nearest(Weight("w", _random(4, 48), None), "int4").precision == "int8"


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_the_response_to_the_centre_is_kept(precision: Precision) -> None:
    centre = 100 + 20 * _random(64)
    weight = Weight("w", _random(16, 64), _random(16), centre=centre)
    rounded = nearest(weight, precision)
    assert rounded.centre is None
    assert rounded.bias is not None
    assert weight.bias is not None
    expected = weight.values.astype(np.float64) @ centre + weight.bias
    np.testing.assert_allclose(rounded.values.astype(np.float64) @ centre + rounded.bias, expected, atol=1e-3)
