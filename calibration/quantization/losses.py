"""What a changed model loses against the same model in float32, on photos."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.calibration.quantization.emulation import Answers, Emulation, batches
from veca_edge.photos.calibration import PhotoSet

Array = NDArray[np.float64]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Loss:
    """What is lost at one budget, over photos.

    Attributes:
        cores: the budget.
        embedding, features: 1 - mean cosine to float32's, of the embedding and of the patches' features; 0..2.
        changed: share of photos with another most likely label, 0..1, or None without a head.
        accuracy: share of photos that were recognised and now are not, less those the other way round; None
            without labels.
        error: standard error of `accuracy`, one more changed photo assumed, so that it is never 0; without labels
            that of `fidelity`.
    """

    cores: int
    embedding: float
    features: float
    changed: float | None
    accuracy: float | None
    error: float

    @property
    def fidelity(self) -> float:
        """What is lost of the cosines, embedding and features alike."""
        return (self.embedding + self.features) / 2

    @property
    def drop(self) -> float:
        """What a limit is held against: fidelity lost, or where there are labels accuracy lost, if that is more.

        A few dozen photos may show no accuracy lost where there is some; cosines lost they show well.
        """
        return max(self.fidelity, self.accuracy or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {name: float(f"{v:.6g}") if isinstance(v, float) else v for name, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Scores:
    """Per photo: embedding and feature losses (n,), and where there is a head the labels (n,)."""

    embedding: Array
    features: Array
    found: NDArray[np.int64] | None
    expected: NDArray[np.int64] | None


def compare(found: Answers, expected: Answers) -> Scores:
    """Compare the answers to a batch of photos."""
    labels: list[NDArray[np.int64] | None] = [None, None]
    if found.logits is not None and expected.logits is not None:
        labels = [answers.argmax(1).numpy() for answers in (found.logits, expected.logits)]
    embedding = _distance(found.embedding, expected.embedding)
    features = _distance(found.features, expected.features).mean(1)
    return Scores(embedding.numpy(), features.numpy(), *labels)


def loss_of(scores: Sequence[Scores], cores: int, targets: NDArray[np.int64] | None) -> Loss:
    """All batches at one budget.

    Args:
        scores: in the order of the photos.
        cores: the budget.
        targets: (n,), the right labels, or None.
    """
    embedding, features = (np.concatenate([getattr(s, name) for s in scores]) for name in ("embedding", "features"))
    changed = accuracy = None
    spread, unseen = (embedding + features) / 2, 0
    if scores[0].found is not None and scores[0].expected is not None:
        found, expected = (np.concatenate([getattr(s, name) for s in scores]) for name in ("found", "expected"))
        changed = float((found != expected).mean())
        if targets is not None:
            spread, unseen = (expected == targets).astype(np.float64) - (found == targets), 1
            accuracy = float(spread.mean())
    error = math.sqrt(float(np.square(spread - spread.mean()).sum()) + unseen) / len(spread)
    return Loss(cores, float(embedding.mean()), float(features.mean()), changed, accuracy, error)


class Evaluator:
    """Holds what the model in float32 says of photos, and compares changed models with it."""

    def __init__(
        self, reference: Emulation, photos: PhotoSet, budgets: Sequence[int], progress: Progress = lambda _: None
    ) -> None:
        """Args:
        reference: the model in float32.
        photos: at least one.
        budgets: core counts.
        progress: called with how much of the reference is computed, 0..1.
        """
        self.photos, self.budgets = photos, tuple(budgets)
        self._batches = list(batches(photos.pixels, reference.config.patch_size))
        self._expected: dict[int, list[Answers]] = {}
        for done, cores in enumerate(self.budgets):
            self._expected[cores] = [reference(batch, cores) for batch in self._batches]
            progress((done + 1) / len(self.budgets))

    def __call__(self, changed: Emulation) -> tuple[Loss, ...]:
        """What a changed model loses, by budget."""
        return tuple(self._at(changed, cores) for cores in self.budgets)

    def accuracy(self) -> Mapping[int, float] | None:
        """The accuracy of the model in float32 by budget, None without labels."""
        targets = self.photos.targets
        if targets is None:
            return None
        found = {}
        for cores, answers in self._expected.items():
            logits = [answer.logits for answer in answers if answer.logits is not None]
            if not logits:
                return None
            found[cores] = float((torch.cat(logits).argmax(1).numpy() == targets).mean())
        return found

    def _at(self, changed: Emulation, cores: int) -> Loss:
        pairs = zip(self._batches, self._expected[cores], strict=True)
        scores = [compare(changed(batch, cores), expected) for batch, expected in pairs]
        return loss_of(scores, cores, self.photos.targets)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - cosine along the last axis, in float64."""
    return 1 - torch.cosine_similarity(a.double(), b.double(), dim=-1)
