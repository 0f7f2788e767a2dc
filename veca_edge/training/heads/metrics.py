"""How often a classifier is right, and whether its confidence is justified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.runtime.result import log_softmax

BINS = 15
WORST = 5  # labels and confusions that are named

Float = NDArray[np.float64]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class LabelQuality:
    """How often photos of one label are recognised."""

    label: str
    right: int
    photos: int


@dataclass(frozen=True)
class Confusion:
    """How often photos of one label are taken for another."""

    label: str
    taken_for: str
    count: int


@dataclass(frozen=True, eq=False)
class Scores:
    """How good a classifier's answers are.

    Attributes:
        top1: fraction of photos whose most likely label is right, 0..1.
        top5: fraction whose label is among the five most likely.
        nll: mean negative log-likelihood of the right label, nats.
        ece: expected calibration error, 0..1; see `calibration_error`.
        confidence: mean probability of the most likely label, 0..1.
        worst: the labels that are recognised least often, worst first.
        confusions: the most frequent ones, first.
        answers: int64 (n,), the most likely label of each photo.
    """

    top1: float
    top5: float
    nll: float
    ece: float
    confidence: float
    worst: tuple[LabelQuality, ...]
    confusions: tuple[Confusion, ...]
    answers: Targets

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; without the answers."""
        return {
            **{name: round(getattr(self, name), 5) for name in ("top1", "top5", "nll", "ece", "confidence")},
            "worst": [vars(item) for item in self.worst],
            "confusions": [vars(item) for item in self.confusions],
        }


def evaluate(logits: NDArray[np.floating], targets: Targets, labels: tuple[str, ...]) -> Scores:
    """Evaluate a classifier's answers.

    Args:
        logits: (n, K), n at least 1.
        targets: (n,), the right answers.
        labels: K names.
    """
    log = log_softmax(np.asarray(logits, np.float64))
    answers = log.argmax(axis=1)
    right = log[np.arange(len(log)), targets]
    return Scores(
        top1=float((answers == targets).mean()),
        top5=float(((log > right[:, None]).sum(axis=1) < 5).mean()),
        nll=float(-right.mean()),
        ece=calibration_error(np.exp(log), targets),
        confidence=float(np.exp(log.max(axis=1)).mean()),
        worst=_worst(answers, targets, labels),
        confusions=_confusions(answers, targets, labels),
        answers=answers,
    )


def calibration_error(probabilities: Float, targets: Targets) -> float:
    """Expected calibration error: the mean distance between confidence and accuracy, 0..1.

    Photos are sorted into 15 equal ranges of the most likely label's probability; the difference between mean
    probability and accuracy in each is weighted by its photos (Guo et al., "On Calibration of Modern Neural
    Networks", 2017).

    Args:
        probabilities: (n, K), rows sum to 1; n at least 1.
        targets: (n,), the right answers.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    where = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(where, right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(targets))


def _worst(answers: Targets, targets: Targets, labels: tuple[str, ...]) -> tuple[LabelQuality, ...]:
    photos = np.bincount(targets, minlength=len(labels))
    right = np.bincount(targets[answers == targets], minlength=len(labels))
    there = np.flatnonzero(photos)
    order = there[np.argsort(right[there] / photos[there], kind="stable")][:WORST]
    return tuple(LabelQuality(labels[i], int(right[i]), int(photos[i])) for i in order)


def _confusions(answers: Targets, targets: Targets, labels: tuple[str, ...]) -> tuple[Confusion, ...]:
    wrong = answers != targets
    # By pair, not as a matrix: with many labels nearly all of it would be empty.
    pairs, counts = np.unique(np.stack((targets[wrong], answers[wrong])), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:WORST]
    return tuple(Confusion(labels[pairs[0, i]], labels[pairs[1, i]], int(counts[i])) for i in order)
