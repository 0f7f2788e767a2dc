"""The weight file, as coremltools' own writer makes it."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veca_edge.errors import VecaError
from veca_edge.modelfile.mlprogram.values import TensorType
from veca_edge.modelfile.mlprogram.weights import WeightFile

COUNT = 103  # no multiple of 8 in any width


def _numbers(element: str) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(0)
    if element.startswith("fp"):
        return random.standard_normal(COUNT).astype({"fp16": np.float16, "fp32": np.float32}[element])
    bits = int(element.removeprefix("u").removeprefix("int"))
    low = 0 if element.startswith("u") else -(2 ** (bits - 1))
    dtype = {True: np.uint8, False: np.int8}[low == 0] if bits <= 8 else np.dtype(element)
    return random.integers(low, low + 2**bits, COUNT).astype(dtype)


def _write(path: Path, element: str, numbers: np.ndarray[Any, Any]) -> int:
    from coremltools.converters.mil.mil import types
    from coremltools.libmilstoragepython import _BlobStorageWriter

    writer = _BlobStorageWriter(str(path))
    if element == "fp32":
        return int(writer.write_float_data(numbers))
    if element == "fp16":
        return int(writer.write_fp16_data(numbers.view(np.uint16)))
    if element in ("int4", "uint1", "uint2", "uint3", "uint4", "uint6"):
        numbers = numbers.astype(getattr(types, f"np_{element}_dtype"))
    return int(getattr(writer, f"write_{element}_data")(numbers))


ELEMENTS = ["fp16", "fp32", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
ELEMENTS += ["int4", "uint1", "uint2", "uint3", "uint4", "uint6"]


@pytest.mark.parametrize("element", ELEMENTS)
def test_what_coremltools_wrote_is_read(tmp_path: Path, element: str) -> None:
    numbers = _numbers(element)
    offset = _write(tmp_path / "weight.bin", element, numbers)
    found = WeightFile.open(tmp_path / "weight.bin").read(offset, TensorType(element, (COUNT,)))
    np.testing.assert_array_equal(found, numbers)
    assert found.dtype == numbers.dtype


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weight.bin"
    assert _write(path, "fp32", _numbers("fp32")) == 64
    return path


GOOD = TensorType("fp32", (COUNT,))


def test_the_digest_is_of_the_whole_file(file: Path) -> None:
    assert WeightFile.open(file).digest() == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("offset", "tensor", "message"),
    [
        (64, TensorType("fp16", (2 * COUNT,)), "data type 2, the program expects 1"),
        (64, TensorType("fp32", (COUNT + 1,)), "412 bytes, the program expects 416"),
        (64, TensorType("int64", (COUNT,)), "data type 2"),
        (128, GOOD, "no blob begins there"),
        (0, GOOD, "no room for a blob"),
        (2**63, GOOD, "no room for a blob"),
        (480, GOOD, "no room for a blob"),
    ],
)
def test_a_blob_that_is_not_the_one_expected_is_refused(
    file: Path, offset: int, tensor: TensorType, message: str
) -> None:
    with pytest.raises(VecaError, match=message):
        WeightFile.open(file).read(offset, tensor)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (64, struct.pack("<I", 0xDEADBEEE), "no blob begins there"),
        (68, struct.pack("<I", 99), "data type 99"),
        (72, struct.pack("<Q", 2**60), "the program expects 412"),
        (80, struct.pack("<Q", 2**63), "outside of the file"),
        (80, struct.pack("<Q", 8), "outside of the file"),
        (80, struct.pack("<Q", 256), "outside of the file"),
        (88, struct.pack("<Q", 4), "the program expects"),
    ],
)
def test_damaged_metadata_is_noticed(file: Path, at: int, value: bytes, message: str) -> None:
    data = bytearray(file.read_bytes())
    data[at : at + len(value)] = value
    file.write_bytes(data)
    with pytest.raises(VecaError, match=message):
        WeightFile.open(file).read(64, GOOD)


@pytest.mark.parametrize("keep", [0, 10, 63, 64, 100, 127, 130, 539])
def test_every_cut_is_noticed(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(VecaError, match="the weight file"):
        WeightFile.open(file).read(64, GOOD)


def test_other_versions_and_other_things_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weight.bin"
    path.write_bytes(struct.pack("<II56x", 1, 3))
    with pytest.raises(VecaError, match="version 3, not 2"):
        WeightFile.open(path)
    with pytest.raises(VecaError, match="is missing"):
        WeightFile.open(tmp_path)
