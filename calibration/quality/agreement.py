"""How close results of one operating point are to those of the best one, or to right answers.

All measures are of one form. An image gives counts: of each output, over its classes, what two results have in
common, of how much, and how much of the class the best one has. Counts of images are added; the measure is the mean
over outputs and classes of the ratio of the first two (`measure_of`). So a mean IoU is one of all images, as
`veca-edge evaluate` counts it, and a mean over images is the ratio of their sum to their number. How far the choice
of images may have moved a measure is found alike for all of them (`estimate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.governor.quality import Freshness, fidelity
from veca_edge.modelfile.heads import MAX_CLASSES
from veca_edge.runtime.dense import DenseResult
from veca_edge.runtime.result import Result

LONGEST_AGE = 1.0  # seconds up to which the value of an old result is measured
SIDE = 64  # cells, to which dense results of all image sizes are enlarged
RARE = 0.01  # of the commonest class: what the best result shows less of is chance, and no class of these images
TINY = 1e-12  # where all values of a regression are 0

Counts = NDArray[np.float64]  # (outputs, 3, classes): in common, of how much, of the best; added up over images
Agreement = Mapping[str, Counts]  # by measure, (images, outputs, 3, classes)
Estimate = tuple[float, float]  # a measure and its standard error


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of one result.

    Attributes:
        embedding, pooled: float32 (D',), of length 1.
        probabilities: float32 (K,), None without a classifier.
        dense: by head (`SIDE`, `SIDE`), uint8 classes or float32 values.
    """

    embedding: Float
    pooled: Float
    probabilities: Float | None
    dense: Mapping[str, NDArray[np.uint8] | Float]


def look(result: Result) -> Look:
    return Look(
        _unit(result.embedding),
        _unit(result.features.mean(axis=(0, 1))),
        None if result.logits is None else result.probabilities,
        {name: _picture(dense) for name, dense in result.dense.items()},
    )


def _unit(vector: Float) -> Float:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def _picture(dense: DenseResult) -> NDArray[np.uint8] | Float:
    return dense.classes(SIDE, SIDE) if dense.task.kind == "segmentation" else dense.at(SIDE, SIDE)[..., 0]


def compared(found: Look, best: Look) -> dict[str, Counts]:
    """What two results of one image have in common: counts by the governor's measures, of outputs that exist."""
    counts = {
        "embedding_cosine": single(float(found.embedding @ best.embedding)),
        "feature_cosine": single(float(found.pooled @ best.pooled)),
    }
    if found.probabilities is not None and best.probabilities is not None:
        counts["label_overlap"] = single(float(np.minimum(found.probabilities, best.probabilities).sum()))
    if best.dense:
        heads = best.dense.items()
        counts["dense_agreement"] = np.stack([_dense_counts(found.dense[name], picture) for name, picture in heads])
    return counts


def single(value: float) -> Counts:
    """Counts of one output and class that has a value for each image: the measure is the mean."""
    return np.array([[[value], [1.0], [1.0]]])


def _dense_counts(found: NDArray[np.uint8] | Float, best: NDArray[np.uint8] | Float) -> Counts:
    """(3, 256): cells by class, or of a regression sums of values; other classes are 0."""
    counts = np.zeros((3, MAX_CLASSES))
    if best.dtype != np.uint8:
        size = float(np.abs(best).sum(dtype=np.float64)) + TINY
        counts[:, 0] = max(0.0, size - float(np.abs(found - best).sum(dtype=np.float64))), size, size
        return counts
    cells = (best[found == best], found, best)
    same, a, b = (np.bincount(classes.astype(np.uint8).ravel(), minlength=MAX_CLASSES) for classes in cells)
    counts[:] = same, a + b - same, b
    return counts


def agreement(looks: Sequence[Look], reference: Sequence[Look]) -> dict[str, Counts]:
    """Compare results of the same images; at least one."""
    return stacked([compared(a, b) for a, b in zip(looks, reference, strict=True)])


def stacked(images: Sequence[Mapping[str, Counts]]) -> dict[str, Counts]:
    """Counts of images by measure, each of the images that have it."""
    names = dict.fromkeys(name for image in images for name in image)
    return {name: np.stack([image[name] for image in images if name in image]) for name in names}


def measure_of(counts: Counts, rare: float = RARE) -> NDArray[np.float64]:
    """The measure that counts (..., outputs, 3, classes) make: float64 (...).

    Args:
        rare: classes that the best shows less of than this share of its commonest one are left out.
    """
    common, whole, best = np.moveaxis(counts, -2, 0)
    shown = (best > 0) & (best >= rare * best.max(axis=-1, keepdims=True))
    ratios = np.divide(common, whole, out=np.zeros_like(common), where=shown)
    return np.asarray((ratios.sum(axis=-1) / np.maximum(shown.sum(axis=-1), 1)).mean(axis=-1))


def estimate(counts: Counts, block: int = 1, rare: float = RARE) -> Estimate:
    """A measure over images, and its standard error: the jackknife's, which for a mean is the usual one.

    Args:
        counts: (images, outputs, 3, classes).
        block: so many neighbours say nearly the same and count as one image for the error.
        rare: as in `measure_of`.

    Returns:
        The error is 1 if nothing can be said of it.
    """
    total = counts.sum(axis=0)
    blocks = np.add.reduceat(counts, np.arange(0, len(counts), block), axis=0)
    without = measure_of(total - blocks, rare) if len(blocks) > 1 else None
    error = 1.0 if without is None else float(np.sqrt((len(blocks) - 1) * without.var()))
    return float(measure_of(total, rare)), min(1.0, error)


def estimate_of_both(clip: Counts, photos: Counts, block: int) -> Estimate:
    """Clip and photos count the same, however many there are of each; `block` is of the clip."""
    (a, error), (b, other) = estimate(clip, block), estimate(photos)
    return (a + b) / 2, float(np.hypot(error, other) / 2)


def freshness_of(reference: Sequence[Look], rate: float) -> Freshness:
    """Fidelity of each frame's result to the results of the frames after it."""

    def worth(lag: int) -> float:
        if lag == 0:
            return 1.0
        found = agreement(reference[:-lag], reference[lag:]).values()
        return fidelity([float(measure_of(counts.sum(axis=0))) for counts in found])

    lags = range(min(round(LONGEST_AGE * rate), len(reference) - 1) + 1)
    return Freshness(tuple(lag / rate for lag in lags), tuple(map(worth, lags)))
