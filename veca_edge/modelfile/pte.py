"""The model file: an ExecuTorch program with a ZIP archive behind it.

ExecuTorch reads the program at the front and ignores what follows; every ZIP reader finds the archive at the end:

    model.pte = program | manifest.json  cores.npy  coordinates.npy  [head_weight.npy  head_bias.npy]
                [heads/NAME_weight.npy  heads/NAME_bias.npy ...]

so one file goes into an app, and `unzip -p model.pte manifest.json` shows what it is.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.arrays import Float, mean_of_rows
from veca_edge.errors import VecaError
from veca_edge.files import ZIP_ERRORS, is_regular, is_there, regular_file, replacing, shortened
from veca_edge.modelfile.archives import float_array, member, npy
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.modelfile.manifest import Manifest

TARGET = "executorch"
PROGRAM_MAGIC = b"ET1"  # bytes 4..6 of an ExecuTorch program


@dataclass(frozen=True)
class Head:
    """A linear classifier on concat(embedding, mean over patch features).

    Attributes:
        weight: float32 (K, 2 D').
        bias: float32 (K,).
    """

    weight: Float
    bias: Float

    def logits(self, embedding: Float, features: Float) -> Float:
        """Logits (K,) for an embedding (D',) and features (..., D')."""
        mean = mean_of_rows(features.reshape(-1, features.shape[-1]))
        return np.asarray(self.weight @ np.concatenate([embedding, mean]) + self.bias, np.float32)


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file beside the program, which stays on disk.

    Attributes:
        path: the file.
        manifest: what it is.
        cores: float32 (M, D), the core tokens in order.
        coordinates: float32 (M, 2), their raw positions (before tanh).
        head: the classifier, or None.
        dense: the heads for every patch, by name.
        digest: SHA-256 of the whole file, hexadecimal; "" for one that was not read from a disk.
    """

    path: Path
    manifest: Manifest
    cores: Float
    coordinates: Float
    head: Head | None
    dense: tuple[DenseHead, ...] = ()
    digest: str = ""


def is_model_file(path: str | Path) -> bool:
    """Whether the file starts as an ExecuTorch program (ours or another tool's)."""
    try:
        if not Path(path).is_file():  # opening a pipe would wait for a writer
            return False
        with Path(path).open("rb") as file:
            return file.read(8)[4:7] == PROGRAM_MAGIC
    except (OSError, ValueError):
        return False


def write_model_file(file: ModelFile, program: bytes) -> None:
    """Write program and archive to `file.path`, all or nothing.

    Raises:
        VecaError: the place cannot be written, or the disk is full.
    """
    with drafting(file, program):
        pass


@contextmanager
def drafting(file: ModelFile, program: bytes) -> Iterator[Path]:
    """Write program and archive under a hidden name, which becomes `file.path` at the end of the context.

    Yields the hidden file. If the context ends with an error the file is removed.

    Raises:
        VecaError: the place cannot be written, or the disk is full.
    """
    try:
        with replacing(file.path) as part:
            part.write_bytes(program)
            del program  # large, and whoever waits for the context's end may need the memory
            write_archive(file, part)
            yield part
    except OSError as error:
        raise VecaError(f"cannot write {shortened(file.path)}: {error.strerror or error}") from None


def write_archive(file: ModelFile, path: Path) -> None:
    """Write the archive behind the program at `path`, in place of one that is there, safe from a power cut.

    Raises:
        OSError: the disk is full, or the like.
    """
    os.truncate(path, file.manifest.program_size)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("manifest.json", file.manifest.to_json())
        archive.writestr("cores.npy", npy(file.cores))
        archive.writestr("coordinates.npy", npy(file.coordinates))
        if file.head is not None:
            archive.writestr("head_weight.npy", npy(file.head.weight))
            archive.writestr("head_bias.npy", npy(file.head.bias))
        for dense in file.dense:
            archive.writestr(f"heads/{dense.task.name}_weight.npy", npy(dense.weight))
            archive.writestr(f"heads/{dense.task.name}_bias.npy", npy(dense.bias))
    with path.open("rb+") as out:
        os.fsync(out.fileno())


def read_model_file(path: str | Path) -> ModelFile:
    """Read and check a model file: everything but the program is in memory, the program's digest is compared.

    Raises:
        VecaError: missing, not a model file, another tool's, damaged, or of a newer format.
    """
    path = Path(path)
    if not is_there(path):
        raise VecaError(f"{path}: no such file")
    if not is_regular(path) or not is_model_file(path):
        raise VecaError(f"{path}: not a model file (expected a .pte made by `veca-edge convert`)")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(path, archive)
    except OSError as error:
        raise VecaError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ZIP_ERRORS as error:
        raise VecaError(
            f"{path}: no veca-edge manifest ({str(error)[:80]}): it is cut off, or was made by another tool; "
            "convert the checkpoint again with `veca-edge convert`"
        ) from None


def read_program(file: ModelFile) -> bytes:
    """The program's bytes, compared with the manifest's digest once more: native code trusts them.

    Raises:
        VecaError: the file has changed since it was read, or is gone.
    """
    try:
        with regular_file(file.path).open("rb") as stream:
            data = stream.read(file.manifest.program_size)
    except OSError as error:
        raise VecaError(f"{file.path}: cannot be read: {error.strerror or error}") from None
    if hashlib.sha256(data).hexdigest() != file.manifest.program_digest:
        raise VecaError(f"{file.path}: changed while it was loaded: load it again")
    return data


def _read_archive(path: Path, archive: zipfile.ZipFile) -> ModelFile:
    try:
        manifest = Manifest.from_json(member(archive, "manifest.json").decode("utf-8", "replace"))
        rows, width = manifest.num_cores, manifest.hidden_dim
        cores = float_array(archive, "cores.npy", (rows, width))
        coordinates = float_array(archive, "coordinates.npy", (rows, 2))
        head = None
        if manifest.labels:
            shape = (len(manifest.labels), 2 * manifest.feature_dim)
            weight, bias = (
                float_array(archive, "head_weight.npy", shape),
                float_array(archive, "head_bias.npy", shape[:1]),
            )
            head = Head(weight, bias)
        dense = tuple(_dense_head(archive, task, manifest.feature_dim) for task in manifest.tasks)
        _check_manifest(manifest)
        digest = _check_program(path, manifest)
    except VecaError as error:
        raise VecaError(f"{path}: {error}") from None
    return ModelFile(path, manifest, cores, coordinates, head, dense, digest)


def _dense_head(archive: zipfile.ZipFile, task: DenseTask, width: int) -> DenseHead:
    weight = float_array(archive, f"heads/{task.name}_weight.npy", (task.outputs, width))
    return DenseHead(task, weight, float_array(archive, f"heads/{task.name}_bias.npy", (task.outputs,)))


def _check_manifest(manifest: Manifest) -> None:
    if manifest.target != TARGET:
        raise VecaError(f"made for {manifest.target}: use `veca-edge convert --target coreml` for Core ML")
    budgets = manifest.budgets
    step = manifest.chunk_size
    ascending = all(a < b for a, b in pairwise(budgets))
    if not budgets or not ascending or any(c % step or not 0 < c <= manifest.num_cores for c in budgets):
        raise VecaError("the manifest's budgets do not fit its core tokens")
    if manifest.num_heads > manifest.hidden_dim or manifest.hidden_dim % manifest.num_heads:
        raise VecaError("the manifest's sizes contradict each other")


def _check_program(path: Path, manifest: Manifest) -> str:
    """Native code will trust these bytes, so they must be the ones that were verified. The file's digest."""
    digest, left = hashlib.sha256(), manifest.program_size
    with path.open("rb") as file:
        while left and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
    if left or digest.hexdigest() != manifest.program_digest:
        raise VecaError("the program is damaged (its digest differs): copy or convert it again")
    with path.open("rb") as file:
        file.seek(manifest.program_size)
        digest.update(file.read())
    return digest.hexdigest()


def describe(file: ModelFile) -> dict[str, Any]:
    """What a model file's manifest says, as plain values."""
    facts: dict[str, Any] = {"kind": "model file", "path": str(file.path), "bytes": file.path.stat().st_size}
    return facts | file.manifest.summary()
