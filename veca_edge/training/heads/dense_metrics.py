"""How good a dense head's results are: counted pixel by pixel over a set of photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from veca_edge.modelfile.heads import DenseTask
from veca_edge.photos.masks import IGNORE
from veca_edge.runtime.dense import DenseResult

DELTA = 1.25  # a value within this factor of the right one counts as close


@dataclass(frozen=True)
class SegmentationScores:
    """How well classes are told apart.

    Attributes:
        miou: mean over classes of intersection over union, 0..1; classes that neither the targets nor the results
            show are left out.
        iou: of each class, None for those.
        foreground: intersection over union of everything but class 0, taken as one.
        accuracy: share of pixels with the right class.
    """

    miou: float
    iou: tuple[tuple[str, float | None], ...]
    foreground: float
    accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        by_class = {label: None if value is None else round(value, 5) for label, value in self.iou}
        whole = {name: round(getattr(self, name), 5) for name in ("miou", "foreground", "accuracy")}
        return whole | {"iou": by_class}


@dataclass(frozen=True)
class RegressionScores:
    """How close values are.

    Attributes:
        rmse: root mean square error, in the unit.
        relative: mean of |found - right| / right over pixels whose right value is above 0.
        delta1: share of those where found / right and right / found are below 1.25.
    """

    rmse: float
    relative: float
    delta1: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {name: round(value, 5) for name, value in vars(self).items()}


def confusion(wanted: NDArray[np.int64], found: NDArray[np.integer[Any]], classes: int) -> NDArray[np.int64]:
    """Places by right class and found class, int64 (K, K), of class numbers (n,)."""
    return np.bincount(wanted * classes + found, minlength=classes**2).reshape(classes, classes)


def overlaps(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Intersection and union of each class, whose ratio is its IoU: int64 (2, K), of a confusion (K, K)."""
    both = np.diag(counts)
    return np.stack([both, counts.sum(axis=0) + counts.sum(axis=1) - both])


class Tally(Protocol):
    """Sums over photos."""

    def add(self, result: DenseResult, target: NDArray[Any]) -> None:
        """Count one photo: its result, and targets (H, W) of what the model saw."""

    @property
    def known(self) -> int:
        """Pixels that were counted: without any the scores mean nothing."""

    def scores(self) -> SegmentationScores | RegressionScores:
        """What the sums say."""


def new_tally(task: DenseTask) -> Tally:
    """Sums for a head of this task, still empty."""
    return Confusions(task.labels) if task.kind == "segmentation" else Errors()


class Confusions:
    """Pixels by right class and found class."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._counts = np.zeros((len(labels), len(labels)), np.int64)

    def add(self, result: DenseResult, target: NDArray[Any]) -> None:
        found = result.classes(*target.shape)
        there = target != IGNORE
        self._counts += confusion(target[there].astype(np.int64), found[there], len(self._labels))

    @property
    def known(self) -> int:
        return int(self._counts.sum())

    def overlaps(self) -> NDArray[np.int64]:
        """Intersection and union of each class, whose ratio is its IoU: int64 (2, K), pixels."""
        return overlaps(self._counts)

    def scores(self) -> SegmentationScores:
        counts, (both, either) = self._counts, self.overlaps()
        iou = [float(b / e) if e else None for b, e in zip(both, either, strict=True)]
        shown = [value for value in iou if value is not None]
        missed, outside = int(counts[1:, 0].sum() + counts[0, 1:].sum()), int(counts[1:, 1:].sum())
        return SegmentationScores(
            miou=float(np.mean(shown)) if shown else 0.0,
            iou=tuple(zip(self._labels, iou, strict=True)),
            foreground=outside / max(outside + missed, 1),
            accuracy=float(both.sum() / max(int(counts.sum()), 1)),
        )


class Errors:
    """Sums of errors of values."""

    def __init__(self) -> None:
        self._sums = np.zeros(3)
        self.known = 0
        self._above = 0

    def add(self, result: DenseResult, target: NDArray[Any]) -> None:
        there = np.isfinite(target)
        right = target[there].astype(np.float64)
        found = result.at(*target.shape)[there, 0].astype(np.float64)
        error, above = np.abs(found - right), right > 0
        ratio = np.maximum(found[above], 1e-12) / right[above]
        close = np.maximum(ratio, 1 / ratio) < DELTA
        self._sums += [np.square(error).sum(), (error[above] / right[above]).sum(), close.sum()]
        self.known += len(right)
        self._above += int(above.sum())

    def scores(self) -> RegressionScores:
        square, relative, close = self._sums / np.maximum((self.known, self._above, self._above), 1)
        return RegressionScores(float(np.sqrt(square)), float(relative), float(close))
