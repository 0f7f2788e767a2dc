"""Element types of ML programs, tensors of them, and how their bytes are packed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError

Array = NDArray[Any]

MAX_ELEMENTS = 2**28  # of one tensor: a gigabyte of float32; a program that asks for more is damage or malice
MAX_RANK = 16
HALF_OVERFLOW = 65520  # the least that float16 rounds to infinity
HALF_NORMAL = 2**-14  # the least that float16 holds with all its digits


@dataclass(frozen=True)
class Element:
    """One element type.

    Attributes:
        name: as coremltools writes it: "fp16", "int4", ...
        number: `MILSpec.DataType` in the program.
        stored_as: the data type in a weight file's metadata, or None if it cannot lie there.
        bits: of one element as stored; below 8 they are packed, low bits first.
        dtype: of an array of them.
    """

    name: str
    number: int
    stored_as: int | None
    bits: int
    dtype: np.dtype[Any]


ELEMENTS = tuple(
    Element(name, number, stored_as, bits, np.dtype(dtype))
    for name, number, stored_as, bits, dtype in (
        ("bool", 1, None, 8, "?"),
        ("string", 2, None, 8, "U"),
        ("fp16", 10, 1, 16, "<f2"),
        ("fp32", 11, 2, 32, "<f4"),
        ("int8", 21, 4, 8, "i1"),
        ("int16", 22, 6, 16, "<i2"),
        ("int32", 23, 14, 32, "<i4"),
        ("int64", 24, None, 64, "<i8"),
        ("int4", 25, 8, 4, "i1"),
        ("uint8", 31, 3, 8, "u1"),
        ("uint16", 32, 7, 16, "<u2"),
        ("uint32", 33, 15, 32, "<u4"),
        ("uint4", 35, 11, 4, "u1"),
        ("uint2", 36, 10, 2, "u1"),
        ("uint1", 37, 9, 1, "u1"),
        ("uint6", 38, 13, 6, "u1"),
        ("uint3", 39, 12, 3, "u1"),
    )
)
_BY_NUMBER = {element.number: element for element in ELEMENTS}
_BY_NAME = {element.name: element for element in ELEMENTS}


@dataclass(frozen=True)
class TensorType:
    """An element type by name and a shape; -1 stands for a size that the program leaves open."""

    element: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements; VecaError if it is left open or beyond any sense."""
        return checked_size(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes as stored, packed."""
        return -(-self.size * element_of(self.element).bits // 8)

    def __str__(self) -> str:
        return f"{self.element} {'×'.join(map(str, self.shape)) or 'scalar'}"


def element_name(number: int) -> str:
    """The name of a `MILSpec.DataType`; one that is not known here is named by its number."""
    element = _BY_NUMBER.get(number)
    return f"data type {number}" if element is None else element.name


def element_of(name: str) -> Element:
    """An element type by name.

    Raises:
        VecaError: not supported.
    """
    if name not in _BY_NAME:
        raise VecaError(f"{name} is not supported by this interpreter")
    return _BY_NAME[name]


def checked_size(shape: tuple[int, ...]) -> int:
    """The number of elements of a shape, before anything is allocated for it.

    Raises:
        VecaError: an open or absurd shape.
    """
    if any(side < 0 for side in shape):
        raise VecaError(f"a tensor of shape {shape}: flexible shapes are not supported")
    size = math.prod(shape)
    if size > MAX_ELEMENTS or len(shape) > MAX_RANK:
        raise VecaError(f"a tensor with {size} elements and {len(shape)} dimensions is too large")
    return size


def unpack(data: bytes, tensor: TensorType) -> Array:
    """The array that packed bytes stand for, in its shape; read-only.

    Elements below 8 bits lie one after another without gaps, low bits first, and come back as int8 or uint8.

    Raises:
        VecaError: not the number of bytes of such a tensor.
    """
    element = element_of(tensor.element)
    if len(data) != tensor.nbytes:
        raise VecaError(f"{len(data)} bytes for a tensor that takes {tensor.nbytes} ({tensor})")
    if element.bits >= 8:
        return np.frombuffer(data, element.dtype).reshape(tensor.shape)
    return unpack_bits(np.frombuffer(data, np.uint8), element.bits, tensor.size, element.dtype).reshape(
        tensor.shape
    )


def round_to_half(x: Array) -> Array:
    """float32 rounded to what float16 can hold: the same as a cast there and back, in a fifth of the time.

    Half of the last digit that stays is added and the digits that go are cut off, in integers, ties to even. Below
    2^-14 float16 has fixed steps of 2^-24, which are those of float32 around 0.75.
    """
    magnitude = np.abs(x)
    if not magnitude.max(initial=0) < HALF_OVERFLOW:  # infinite, or not a number
        with np.errstate(over="ignore"):
            return x.astype(np.float16).astype(np.float32)
    bits = x.reshape(-1).view(np.uint32)
    rounded = bits >> 13
    rounded &= 1
    rounded += 0xFFF
    rounded += bits
    rounded &= np.uint32(0xFFFFE000)
    result: Array = rounded.view(np.float32).reshape(x.shape)
    tiny = magnitude < HALF_NORMAL
    if tiny.any():
        result[tiny] = np.copysign(x[tiny] + np.float32(0.75) - np.float32(0.75), x[tiny])
    return result


def unpack_bits(packed: Array, bits: int, count: int, dtype: Any = np.uint8) -> Array:
    """The first `count` numbers of `bits` bits each in packed uint8, as int8 (two's complement) or uint8."""
    flat = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    numbers = np.packbits(flat, axis=1, bitorder="little").reshape(count)
    if np.dtype(dtype).kind == "u":
        return numbers
    # Move the sign to the top and back down.
    return (numbers << (8 - bits)).view(np.int8) >> (8 - bits)
