"""Named arrays in one .npz file; files from outside are checked before anything is allocated."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, shown
from veca_edge.files import ZIP_ERRORS, shortened
from veca_edge.modelfile.archives import npy_header

ENDING = ".npz"

Layout = Mapping[str, tuple[str, int]]  # of each array the type, such as "<f2", and how many dimensions it has


def check_ending(path: Path, kind: str) -> None:
    """Raise a VecaError for a name that no file of this kind, such as "a gallery", can have."""
    if path.suffix != ENDING:
        raise VecaError(f"cannot write {shortened(path)}: let the name of {kind} end in {ENDING}")


def packed(arrays: Mapping[str, NDArray[Any]], texts: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a file with texts under their full names, and arrays that `numpy.load` reads without pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # Without the time, so that equal contents are equal files.
        for name, text in (texts or {}).items():
            archive.writestr(zipfile.ZipInfo(name), text)
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getbuffer())
    return buffer.getvalue()


def read_archive(path: Path, layout: Layout) -> dict[str, NDArray[Any]]:
    """The arrays of a layout; others are left alone.

    Takes no more memory than the file takes disk, whatever its headers claim.

    Raises:
        VecaError: it is damaged, or does not hold these arrays. The message calls the file "it".
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _array(archive, name, *form) for name, form in layout.items()}
    except ZIP_ERRORS as error:
        raise VecaError(f"it is no archive of arrays, or a damaged one ({shown(str(error))})") from None


def _array(archive: zipfile.ZipFile, name: str, form: str, dimensions: int) -> NDArray[Any]:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise VecaError(f"it has no array '{name}'") from None
    # We never compress, so what unpacks to something else than it holds is not ours.
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise VecaError(f"its {name} is compressed")
    data = archive.read(member)
    try:
        shape, transposed, kind, start = npy_header(data)
    except ValueError as error:
        raise VecaError(f"its {name} cannot be read ({shown(str(error))})") from None
    wanted = np.dtype(form)
    if kind != wanted or len(shape) != dimensions or (transposed and dimensions > 1):
        raise VecaError(f"its {name} is of another kind")
    if min(shape, default=0) < 0 or len(data) - start != math.prod(shape) * wanted.itemsize:
        raise VecaError(f"its {name} is cut off, or longer than it says")
    return np.frombuffer(data, wanted, offset=start).reshape(shape)
