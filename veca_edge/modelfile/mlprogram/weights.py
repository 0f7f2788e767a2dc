"""The weight file of a package: blobs, each behind 64 bytes that say what it is.

The layout is that of coremltools' `MILBlob` (version 2). It holds no checksum: damaged values go unnoticed here,
and whoever writes packages should keep a digest beside them.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from veca_edge.errors import VecaError
from veca_edge.files import is_regular
from veca_edge.modelfile.mlprogram.values import Array, TensorType, element_of, unpack

VERSION = 2
SENTINEL = 0xDEADBEEF
HEADER = struct.Struct("<II56x")  # blobs, version
METADATA = struct.Struct("<IIQQQ32x")  # sentinel, data type, bytes, where they begin, padding in bits


@dataclass(frozen=True)
class WeightFile:
    """A weight file on disk.

    Attributes:
        path: where it lies.
        size: bytes.
        count: blobs in it.
    """

    path: Path
    size: int
    count: int

    @classmethod
    def open(cls, path: Path) -> WeightFile:
        """Check a weight file's header.

        Raises:
            VecaError: missing, cut off, or of another version.
        """
        try:
            if not is_regular(path):
                raise VecaError(f"the weight file {path.name} is missing")
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(HEADER.size)
        except OSError as error:
            raise VecaError(f"the weight file {path.name} cannot be read: {error.strerror}") from None
        if len(head) < HEADER.size:
            raise VecaError(f"the weight file {path.name} is cut off")
        count, version = HEADER.unpack(head)
        if version != VERSION:
            raise VecaError(f"the weight file {path.name} is damaged or of version {version}, not {VERSION}")
        return cls(path, size, count)

    def read(self, offset: int, tensor: TensorType) -> Array:
        """The tensor whose metadata lies at `offset`: read-only.

        Raises:
            VecaError: no blob there, or one of another type or size, or outside of the file.
        """
        element = element_of(tensor.element)
        size = tensor.nbytes
        try:
            if not HEADER.size <= offset <= self.size - METADATA.size:
                raise VecaError("there is no room for a blob")
            with self.path.open("rb") as file:
                file.seek(offset)
                head = file.read(METADATA.size)
                start = self._start(head, element.stored_as, size, 8 * size - element.bits * tensor.size)
                file.seek(start)
                return unpack(file.read(size), tensor)
        except OSError as error:
            raise VecaError(f"the weight file {self.path.name} cannot be read: {error.strerror}") from None
        except VecaError as error:
            raise VecaError(f"the weight file {self.path.name} is damaged at {offset}: {error}") from None

    def _start(self, head: bytes, stored_as: int | None, size: int, padding: int) -> int:
        """Where a blob's bytes begin, if its metadata agrees with what is asked for."""
        if len(head) < METADATA.size:
            raise VecaError("the file ends there")
        sentinel, kind, stored, start, stored_padding = METADATA.unpack(head)
        if sentinel != SENTINEL:
            raise VecaError("no blob begins there")
        if kind != stored_as:
            raise VecaError(f"a blob of data type {kind}, the program expects {stored_as}")
        if (stored, stored_padding) != (size, padding):
            raise VecaError(f"a blob of {stored} bytes, the program expects {size}")
        if start < HEADER.size or start + size > self.size:
            raise VecaError("its blob lies outside of the file")
        return int(start)

    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
        return digest.hexdigest()
