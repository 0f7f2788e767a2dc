"""What a gallery's examples of one kind say about a vector: how alike each name is, and how alike is enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float

# Cosines with the names of a gallery, as they are to be expected of a model's centred vectors before any example
# says more: mean and standard deviation. README.md says on which photos they were measured.
FAMILIAR = (0.5, 0.2)  # of a thing with its own name
STRANGER = (0.05, 0.12)  # of a thing that has no name with the most alike of one name;
STRANGER_GROWTH = 0.075  # and so much more for each factor e of names, the most alike of which is taken
PRIOR = 4.0  # examples that these count as
ONE_IN_TEN = 1.2816  # standard deviations beyond which a normal variable is one time in ten
HIGHEST = 0.98  # threshold: whatever is more alike than that is the same picture, or next to it
ROUNDED = 9  # digits of a similarity that count: the others depend on the processor
TIE = 1e-6  # similarities that differ by no more than this say the same
MOST_ASKED = 4096  # examples, evenly spread, that tell as much of the threshold as all of a larger gallery
BLOCK = 1024  # names that these are compared with at a time: the memory stays small however many there are


@dataclass(frozen=True, eq=False)
class Index:
    """Examples of one kind, ready to be asked.

    Attributes:
        labels: K names.
        prototypes: float64 (K, D'), the direction of the mean of each name's examples.
        mean: float64 (D',), taken off every vector; None for nothing.
        threshold: the similarity from which on the best name is worth showing.
    """

    labels: tuple[str, ...]
    prototypes: NDArray[np.float64]
    mean: NDArray[np.float64] | None
    threshold: float

    @classmethod
    def of(cls, labels: Sequence[str], vectors: Sequence[Float], mean: NDArray[np.float64] | None = None) -> Index:
        """The index of n examples: their names and vectors, float32 (D',)."""
        names = tuple(dict.fromkeys(labels))
        if not names:
            return cls((), np.zeros((0, 0)), mean, 1.0)
        rows = {name: row for row, name in enumerate(names)}
        places = np.array([rows[label] for label in labels])
        examples = directions(np.stack(vectors), mean)
        sums = np.zeros((len(names), examples.shape[1]))
        np.add.at(sums, places, examples)
        return cls(names, _unit(sums), mean, _threshold(examples, places, sums))

    def ranked(self, vector: Float) -> list[tuple[str, float]]:
        """Every name and its similarity to a vector (D',), best first; of equal ones the name added first."""
        if not self.labels:
            return []
        similarity = self.prototypes @ directions(vector, self.mean)
        order = np.argsort(-similarity.round(ROUNDED), kind="stable")
        return [(self.labels[i], float(similarity[i])) for i in order]


def directions(vectors: Float, mean: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Vectors (..., D') without the mean, as unit vectors."""
    wide = vectors.astype(np.float64)
    return _unit(wide if mean is None else wide - mean)


def _threshold(examples: NDArray[np.float64], places: NDArray[np.intp], sums: NDArray[np.float64]) -> float:
    """What one stranger in ten reaches, or half way from there to what nine in ten familiar things reach.

    Each example plays a stranger to the other names, and a familiar thing to the other examples of its own. At most
    `HIGHEST`, or where two names have one scene nothing would ever be sure.
    """
    count, step = len(sums), -(-len(examples) // MOST_ASKED)
    company = (np.bincount(places)[places] > 1)[::step]
    examples, places = examples[::step], places[::step]
    strangers = np.zeros(0)
    if count > 1:
        strangers = _nearest_other(examples, places, sums) + STRANGER_GROWTH * math.log(count / (count - 1))
    familiar = (_unit(sums[places] - examples) * examples).sum(1)[company]
    mean, deviation = STRANGER
    high = _spread(strangers, mean + STRANGER_GROWTH * math.log(count), deviation, ONE_IN_TEN)
    low = _spread(familiar, *FAMILIAR, -ONE_IN_TEN)
    return min(HIGHEST, max(high, (high + low) / 2))


def _nearest_other(
    examples: NDArray[np.float64], places: NDArray[np.intp], sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of each example the greatest similarity to a name that is not its own."""
    nearest = np.full(len(examples), -np.inf)
    for start in range(0, len(sums), BLOCK):
        similarity = examples @ _unit(sums[start : start + BLOCK]).T
        own = np.flatnonzero((places >= start) & (places < start + BLOCK))
        similarity[own, places[own] - start] = -np.inf
        nearest = np.maximum(nearest, similarity.max(1))
    return nearest


def _spread(values: NDArray[np.float64], mean: float, deviation: float, steps: float) -> float:
    """So many standard deviations from the mean of values and of `PRIOR` more, which are as expected."""
    count = PRIOR + len(values)
    centre = (PRIOR * mean + values.sum()) / count
    variance = (PRIOR * (deviation**2 + (mean - centre) ** 2) + ((values - centre) ** 2).sum()) / count
    return float(centre + steps * math.sqrt(variance))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (..., D') at length 1; zeros stay."""
    length: NDArray[np.float64] = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)
