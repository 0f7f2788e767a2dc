"""How close results of one operating point are to those of the best one, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.governor.quality import Freshness, fidelity
from veca_edge.runtime.result import Result

LONGEST_AGE = 1.0  # seconds up to which the value of an old result is measured

# Mean embedding cosine, mean cosine of the pooled features, share of equal first labels.
Means = tuple[float, float, float | None]


@dataclass(frozen=True)
class Look:
    """What is kept of one result."""

    embedding: Float
    pooled: Float
    label: int | None


def look(result: Result) -> Look:
    label = None if result.logits is None else int(result.logits.argmax())
    return Look(_unit(result.embedding), _unit(result.features.mean(axis=(0, 1))), label)


def _unit(vector: Float) -> Float:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


@dataclass(frozen=True, eq=False)
class Agreement:
    """Results compared with the reference's, image by image.

    Attributes:
        embedding, pooled: float64 (n,), cosines.
        same: float64 (n,), 1 for the same first label, else 0; None without a head.
    """

    embedding: NDArray[np.float64]
    pooled: NDArray[np.float64]
    same: NDArray[np.float64] | None

    @property
    def means(self) -> Means:
        same = None if self.same is None else float(self.same.mean())
        return float(self.embedding.mean()), float(self.pooled.mean()), same


def agreement(looks: Sequence[Look], reference: Sequence[Look]) -> Agreement:
    """Compare results of the same images; at least one."""
    pairs = list(zip(looks, reference, strict=True))
    same = [a.label == b.label for a, b in pairs if a.label is not None]
    return Agreement(
        np.array([a.embedding @ b.embedding for a, b in pairs], np.float64),
        np.array([a.pooled @ b.pooled for a, b in pairs], np.float64),
        np.array(same, np.float64) if same else None,
    )


def mean_of(a: Means, b: Means) -> Means:
    """Clip and photos count the same, however many there are of each."""
    top1 = None if a[2] is None or b[2] is None else (a[2] + b[2]) / 2
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, top1


def freshness_of(reference: Sequence[Look], rate: float) -> Freshness:
    """Fidelity of each frame's result to the results of the frames after it."""
    lags = range(min(round(LONGEST_AGE * rate), len(reference) - 1) + 1)
    worth = (1.0 if lag == 0 else fidelity(*agreement(reference[:-lag], reference[lag:]).means) for lag in lags)
    return Freshness(tuple(lag / rate for lag in lags), tuple(worth))
