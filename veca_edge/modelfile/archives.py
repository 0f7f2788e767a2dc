"""Members of the ZIP archives that hold our arrays: never compressed, checked before anything is allocated."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown

MAX_MEMBER = 2**28  # bytes; a larger member is damage or malice
NPY_HEADER = 256  # bytes before an array, at most


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a member.

    Raises:
        VecaError: it is compressed or too large.
        KeyError and the rest of `files.ZIP_ERRORS`: there is none of that name, or it is damaged.
    """
    info = archive.getinfo(name)
    # We never compress, so what unpacks to something else than it holds is not ours.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > MAX_MEMBER:
        raise VecaError(f"{name} is compressed or too large")
    return archive.read(name)


def float_array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Float:
    """The finite float32 array of this shape that a member holds as .npy; errors as `member`, also for others."""
    data = member(archive, name)
    if not 0 <= len(data) - 4 * math.prod(shape) <= NPY_HEADER:
        raise VecaError(f"{name} does not fit the manifest")
    try:
        found, transposed, dtype, start = npy_header(data)
    except ValueError as error:
        raise VecaError(f"{name} cannot be read: {shown(str(error), 80)}") from None
    values = data[start:]
    if found != shape or transposed or dtype != np.float32 or len(values) != 4 * math.prod(shape):
        raise VecaError(f"{name} does not fit the manifest")
    array: Float = np.frombuffer(values, "<f4").reshape(shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise VecaError(f"{name} holds values that are not numbers")
    return array


def npy_header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Of the bytes of an .npy file: the shape, whether columns come first, the type, where the values begin.

    By itself, because numpy would allocate what a header claims.

    Raises:
        ValueError: it is damaged.
    """
    stream = io.BytesIO(data)
    try:
        np.lib.format.read_magic(stream)
        shape, transposed, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # numpy's header parser raises whatever the damage leads to
        raise ValueError(str(error)) from None
    return shape, transposed, dtype, stream.tell()


def npy(array: Float) -> bytes:
    """An array as float32 in the bytes of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, np.float32))
    return buffer.getvalue()
