"""Teachers: models whose embedding and patch features a student learns to predict.

A teacher takes normalised images, float (B, 3, H, H), and returns an embedding (B, E) and patch features (B, N, F)
of a square grid, row by row; optionally also logits (B, K) in the order of the photos' labels. It can be

    module:callable   called once with the device; it returns the teacher
    FILE.pt2          a program saved with torch.export.save that takes and returns the above
    FILE.npz          the weights of a MobileNetV2, the example in this file

The first two are code: use only teachers that you trust.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.files import replacing

EPS = 1e-5
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
WIDTHS = (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)  # before and after each block
EXPANSION = 6  # of all blocks but the first
GRID_BLOCK = 12  # the last one at stride 16: its grid is that of a patch-16 model
EMBEDDING = 1280
MAX_NPZ = 64 << 20  # bytes of all arrays together

Teacher = Callable[[Tensor], Sequence[Tensor]]


class TeacherOutput(NamedTuple):
    """A teacher's answers to a batch.

    Attributes:
        embedding: (B, E).
        features: (B, N, F), of a square grid row by row.
        logits: (B, K), or None.
    """

    embedding: Tensor
    features: Tensor
    logits: Tensor | None = None


def load_teacher(source: str, device: torch.device, labels: Sequence[str]) -> Teacher:
    """Open a teacher.

    Args:
        source: see the top of this module.
        device: where it runs.
        labels: of the photos, for teachers that also return logits.

    Raises:
        VecaError: it cannot be found or opened.
    """
    if source.endswith(".npz"):
        example: Teacher = MobileNetV2.from_npz(Path(source), labels).to(device)
        return example
    if source.endswith(".pt2"):
        return _load_program(source, device)
    if ":" in source:
        return _load_callable(source, device)
    raise VecaError(f"teacher {source}: give an .npz, a .pt2 program, or module:callable")


def ask(teacher: Teacher, images: Tensor) -> TeacherOutput:
    """A teacher's answers to normalised images (B, 3, H, H), checked.

    Raises:
        VecaError: it fails, or returns something else than `TeacherOutput` describes.
    """
    try:
        with torch.no_grad():
            values = tuple(teacher(images))
    except (VecaError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # The user's code may raise anything.
        reason = str(error).strip().splitlines()
        raise VecaError(f"the teacher failed: {type(error).__name__}: {reason[0] if reason else ''}") from error
    shapes = [tuple(value.shape) if isinstance(value, Tensor) else () for value in values]
    good = [len(shape) for shape in shapes] in ([2, 3], [2, 3, 2])
    if not good or {shape[0] for shape in shapes} != {len(images)} or not _is_square(shapes[1][1]):
        want = "an embedding (B, E) and features (B, N, F) of a square grid, perhaps logits (B, K)"
        raise VecaError(f"the teacher returned shapes {shapes}, expected {want}")
    return TeacherOutput(*(value.float() for value in values))


def _is_square(count: int) -> bool:
    return count > 0 and math.isqrt(count) ** 2 == count


class MobileNetV2(nn.Module):  # type: ignore[misc]
    """MobileNetV2 1.0 (arXiv 1801.04381) without its classifier, the example of a teacher.

    The embedding is the pooled output (1280), the features are those after block 12 (96, stride 16). Batch norms
    use their running statistics, also while it is tuned. With `classifier_*` arrays it returns logits, too.
    """

    def __init__(self, arrays: dict[str, Tensor]) -> None:
        """Args: arrays: by the names of `mobilenet_shapes`, and perhaps classifier_weight and classifier_bias."""
        super().__init__()
        statistics = {name for name in arrays if "running" in name}
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(value, name not in statistics) for name, value in arrays.items()}
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        images = images.contiguous(memory_format=torch.channels_last)
        x = self._conv(images, "conv0", "batchnorm0", stride=2).relu()
        grid = x
        for index, stride in enumerate(STRIDES):
            x = self._block(x, f"linearbottleneck{index}_", stride)
            if index == GRID_BLOCK:
                grid = x
        embedding = self._conv(x, "conv1", "batchnorm1").relu().mean((2, 3))
        features = grid.flatten(2).transpose(1, 2)
        if "classifier_weight" not in self.weights:
            return embedding, features
        logits = F.linear(embedding, self.weights["classifier_weight"], self.weights["classifier_bias"])
        return embedding, features, logits

    def _block(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self._conv(x, f"{name}conv0", f"{name}batchnorm0").relu()
        y = self._conv(y, f"{name}conv1", f"{name}batchnorm1", stride).relu()
        y = self._conv(y, f"{name}conv2", f"{name}batchnorm2")
        return x + y if stride == 1 and x.shape[1] == y.shape[1] else y

    def _conv(self, x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        """A convolution with the batch norm behind it folded in."""
        weight, get = self.weights[f"{conv}_weight"], self.weights.__getitem__
        scale = get(f"{norm}_gamma") * (get(f"{norm}_running_var") + EPS).rsqrt()
        bias = get(f"{norm}_beta") - get(f"{norm}_running_mean") * scale
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        return F.conv2d(
            x, weight * scale[:, None, None, None], bias, stride, padding=weight.shape[2] // 2, groups=groups
        )

    @classmethod
    def from_npz(cls, path: Path, labels: Sequence[str] = ()) -> MobileNetV2:
        """Read the weights; a classifier is included if it is for exactly these labels.

        Raises:
            VecaError: no such file, or it does not hold the weights of a MobileNetV2.
        """
        shapes = mobilenet_shapes()
        try:
            with np.load(_checked_archive(path), allow_pickle=False) as file:
                missing = sorted(shapes.keys() - set(file.files))
                if missing:
                    raise VecaError(f"teacher {path}: {missing[0]} is missing: not the weights of a MobileNetV2")
                arrays = {name: _array(file[name], name, shapes[name], path) for name in shapes}
                if labels and "labels" in file.files and file["labels"].tolist() == list(labels):
                    wide = (len(labels), EMBEDDING)
                    for name, shape in (("classifier_weight", wide), ("classifier_bias", wide[:1])):
                        arrays[name] = _array(file[name], name, shape, path)
        except VecaError:
            raise
        except Exception as error:  # numpy's header parser raises whatever the damage leads to
            reason = getattr(error, "strerror", None) or "not an .npz file, or a damaged one"
            raise VecaError(f"teacher {path}: {reason}") from None
        return cls(arrays)

    def to_npz(self, path: Path, labels: Sequence[str]) -> None:
        """Write the weights, and the labels of the classifier; the file appears complete or not at all."""
        arrays = {name: value.detach().float().cpu().numpy() for name, value in self.weights.items()}
        try:
            with replacing(path) as part, part.open("wb") as stream:
                np.savez(stream, labels=np.array(labels), **arrays)
        except OSError as error:
            raise VecaError(f"{path}: cannot be written: {error.strerror or error}") from error


def mobilenet_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of a MobileNetV2 without its classifier."""
    shapes: dict[str, tuple[int, ...]] = {}
    for conv, norm, shape in _convolutions():
        shapes[f"{conv}_weight"] = shape
        for part in ("gamma", "beta", "running_mean", "running_var"):
            shapes[f"{norm}_{part}"] = shape[:1]
    return shapes


def _convolutions() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    yield "conv0", "batchnorm0", (WIDTHS[0], 3, 3, 3)
    for index, (before, after) in enumerate(pairwise(WIDTHS)):
        name, wide = f"linearbottleneck{index}_", before * (EXPANSION if index else 1)
        yield f"{name}conv0", f"{name}batchnorm0", (wide, before, 1, 1)
        yield f"{name}conv1", f"{name}batchnorm1", (wide, 1, 3, 3)
        yield f"{name}conv2", f"{name}batchnorm2", (after, wide, 1, 1)
    yield "conv1", "batchnorm1", (EMBEDDING, WIDTHS[-1], 1, 1)


def _checked_archive(path: Path) -> Path:
    """The path, if the archive is not larger than a MobileNetV2."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_NPZ:
            raise VecaError(f"teacher {path}: larger than a MobileNetV2")
    return path


def _array(value: Any, name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    if value.shape != shape or value.dtype.kind != "f":
        raise VecaError(f"teacher {path}: {name} is {value.dtype} {value.shape}, expected floats {shape}")
    tensor = torch.from_numpy(value.astype(np.float32))
    if not bool(tensor.isfinite().all()):
        raise VecaError(f"teacher {path}: {name} holds NaN or infinite values")
    return tensor


def _load_program(source: str, device: torch.device) -> Teacher:
    try:
        if not zipfile.is_zipfile(source):  # torch writes pages about it to standard error
            raise VecaError("it is no archive")
        program = torch.export.load(source)
        module: Teacher = program.module().to(device)
    except Exception as error:
        # torch raises errors of almost any type for other files.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise VecaError(f"teacher {source} is not a program from torch.export: {reason}") from None
    return module


def _load_callable(source: str, device: torch.device) -> Teacher:
    name, _, attribute = source.rpartition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module in the current folder, as with `python -m`
    try:
        make = getattr(import_module(name), attribute)
        teacher = make(device)
    except VecaError:
        raise
    except Exception as error:
        raise VecaError(f"teacher {source}: {type(error).__name__}: {error}") from error
    if not callable(teacher):
        raise VecaError(f"teacher {source}: calling it gave a {type(teacher).__name__}, expected a callable")
    result: Teacher = teacher
    return result


def checked_labels(said: TeacherOutput, classes: int) -> TeacherOutput:
    """What a teacher said, or VecaError if its logits are not for so many labels."""
    if said.logits is not None and said.logits.shape[1] != classes:
        raise VecaError(
            f"the teacher has {said.logits.shape[1]} labels, the photos have {classes}: use another teacher"
        )
    return said
