from __future__ import annotations

import numpy as np
import pytest

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import TensorType, round_to_half, unpack, unpack_bits


def _cast(x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return x.astype(np.float16).astype(np.float32)


def test_rounding_to_half_is_the_cast_for_all_halves_and_between_them() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    ordered = np.sort(halves[np.isfinite(halves)])
    middle = ((ordered[1:].astype(np.float64) + ordered[:-1]) / 2).astype(np.float32)
    above, below = (np.nextafter(middle, end, dtype=np.float32) for end in (np.inf, -np.inf))
    for x in (ordered, middle, above, below):
        np.testing.assert_array_equal(round_to_half(x).view(np.uint32), _cast(x).view(np.uint32))


@pytest.mark.parametrize("value", [65519.99, 65520.0, -65520.0, 1e30, np.inf, -np.inf, np.nan, -0.0, 0.0, 1e-9])
def test_rounding_to_half_at_the_ends(value: float) -> None:
    x = np.array([value, 1 / 3], np.float32)
    np.testing.assert_array_equal(round_to_half(x).view(np.uint32), _cast(x).view(np.uint32))


def test_rounding_to_half_keeps_the_shape_and_the_argument() -> None:
    for x in (
        np.float32(np.pi) * np.ones((), np.float32),
        np.zeros((0, 3), np.float32),
        np.full((4, 2), 0.1, np.float32).T,
    ):
        before = x.copy()
        assert round_to_half(x).shape == x.shape
        np.testing.assert_array_equal(round_to_half(x), _cast(x))
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_bits_come_back(bits: int) -> None:
    numbers = np.random.default_rng(bits).integers(0, 2**bits, 1001).astype(np.uint8)
    stream = ((numbers[:, None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(-1)
    np.testing.assert_array_equal(unpack_bits(np.packbits(stream, bitorder="little"), bits, 1001), numbers)


def test_int4_has_a_sign() -> None:
    packed = bytes([0x10, 0x98, 0xFE])  # low half first
    np.testing.assert_array_equal(unpack(packed, TensorType("int4", (2, 3))), [[0, 1, -8], [-7, -2, -1]])


@pytest.mark.parametrize(
    ("element", "shape", "message"),
    [
        ("int4", (5,), "2 bytes for a tensor that takes 3"),
        ("fp32", (), "2 bytes"),
        ("bf16", (1,), "bf16 is not supported"),
        ("data type 40", (2,), "not supported"),
        ("uint8", (2**20, 2**20), "too large"),
        ("uint8", (1,) * 40, "too large"),
        ("uint8", (2, -1), "flexible"),
    ],
)
def test_what_makes_no_sense_is_refused(element: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        unpack(b"ab", TensorType(element, shape))
