"""A new head on a frozen model: fitted to labelled photos, and evaluated on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.certainty import Certainty
from veca_edge.photos.folders import Photos, Splits
from veca_edge.training.heads.certainty import fit_certainty
from veca_edge.training.heads.confidence import cross_fitted, fit_temperature
from veca_edge.training.heads.features import Features, compute_features, draw_budgets
from veca_edge.training.heads.head import Choice, LinearHead, choose_decay, fit_linear
from veca_edge.training.heads.metrics import Scores, Targets, evaluate

# A photo looks much the same at every budget, so a large set is not computed at all of them: on everyday (5,708
# photos) a head that saw each at two was within half a point of one that saw each at eight, in a quarter of the
# time.
LOOKS = 10_000  # photos times budgets that are computed of a large set
FEWEST = 2  # budgets for each photo of a large set
FAMILIAR = 0.1  # photos held out of train are right so much more often than those of val: the model knows them

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class BudgetQuality:
    """How good the head is at one core budget, evaluated on val.

    Attributes:
        cores: the budget.
        scores: with the temperature, of which each photo gets one that was fitted on others.
        ece_before: expected calibration error without the temperature, 0..1.
        previous_top1: accuracy of the head that the checkpoint had for the same labels, 0..1, or None.
    """

    cores: int
    scores: Scores
    ece_before: float
    previous_top1: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        before = {"ece_before": round(self.ece_before, 5), "previous_top1": self.previous_top1}
        return {"cores": self.cores, **self.scores.to_dict(), **before}


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A checkpoint with its new head, and how good that is.

    Attributes:
        checkpoint: the frozen model, the head with the temperature inside, its labels, the preprocessing.
        train, val: the photos that could be read.
        choice: the weight decay.
        temperature: what the logits were divided by.
        budgets: by ascending core budget.
    """

    checkpoint: Checkpoint
    train: Photos
    val: Photos
    choice: Choice
    temperature: float
    budgets: tuple[BudgetQuality, ...]

    @property
    def familiar(self) -> bool:
        """Whether the model knows the photos of train, or train holds photos that are nearly the same."""
        return self.choice.top1 is not None and self.choice.top1 - self.budgets[-1].scores.top1 > FAMILIAR

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "photos": {"train": len(self.train), "val": len(self.val)},
            "labels": list(self.train.labels),
            "image_size": self.checkpoint.preprocessing["image_size"],
            "decay": self.choice.decay,
            "held_out_top1": self.choice.top1,
            "temperature": round(self.temperature, 5),
            "certainty": None if self.checkpoint.certainty is None else self.checkpoint.certainty.to_dict(),
            "budgets": [quality.to_dict() for quality in self.budgets],
        }


def fit_head(
    checkpoint: Checkpoint,
    splits: Splits,
    image_size: int | None = None,
    budgets: Sequence[int] | None = None,
    say: Say = lambda _: None,
    progress: Progress = lambda stage, done: None,
    unknown: Photos | None = None,
) -> FittedHead:
    """Fit one linear head that serves all core budgets; the model itself stays as it is.

    Args:
        checkpoint: the model; its head, if any, is only a baseline.
        splits: labelled photos to learn from and to evaluate on.
        image_size: pixels; None for the checkpoint's.
        budgets: core counts; None for those that the model was trained for.
        say: receives lines about photos that are left out.
        progress: called with a stage's name and how much of it is done, 0..1.
        unknown: photos of things without a label, which are to get none; None for none.

    Raises:
        VecaError: an image size or budget that the model cannot take, a label of which no photo can be read, no
            readable photo in val, out of memory, or a model that computes no numbers.
    """
    config = checkpoint.config
    chosen = tuple(sorted({config.check_cores(count) for count in budgets or config.budgets}))
    size = {} if image_size is None else {"image_size": image_size}
    preprocessing = Preprocessing.from_dict({**checkpoint.preprocessing, **size})

    def features(stage: str, photos: Photos, per_photo: int) -> Features:
        cores = draw_budgets(photos, chosen, per_photo)
        return compute_features(checkpoint, preprocessing, photos, cores, say, partial(progress, stage))

    looks = max(FEWEST, LOOKS // len(splits.train))
    train = features("features of train", splits.train, min(looks, len(chosen)))
    val = features("features of val", splits.val, len(chosen))
    _check_readable(train.photos, val.photos)
    others = None
    if unknown is not None:
        others = features("features of unknown", unknown, min(max(FEWEST, LOOKS // len(unknown)), len(chosen)))
    progress("fitting", 0)
    weights = _budget_weights(train.cores, dict(zip(config.budgets, config.budget_weights, strict=True)))
    choice = choose_decay(train, weights)
    head = fit_linear(train, weights, choice.decay)
    logits, targets = head.logits(_by_budget(val)), val.photos.targets
    temperature = fit_temperature(logits, targets)
    progress("fitting", 1)
    head = head.cooled(temperature).halved()
    doubt = None if others is None else head.logits(others.values)
    # The head's own probabilities are to be trusted now, so that there is no temperature beside it.
    certainty = fit_certainty(logits / temperature, targets, doubt, 1.0)
    fitted = _with_head(checkpoint, head, splits.train.labels, preprocessing, certainty)
    previous = _previous_top1(checkpoint, val)
    qualities = _qualities(chosen, logits, targets, splits.train.labels, previous)
    return FittedHead(fitted, train.photos, val.photos, choice, temperature, qualities)


def _check_readable(train: Photos, val: Photos) -> None:
    empty = np.flatnonzero(train.counts() == 0)
    if len(empty):
        raise VecaError(
            f"no photo of {train.labels[empty[0]]} in train could be read: replace them or remove the label"
        )
    if not len(val):
        raise VecaError("no photo in val could be read: there is nothing to evaluate on")


def _budget_weights(cores: NDArray[np.int64], published: Mapping[int, float]) -> NDArray[np.float64]:
    """The weight of each feature vector, (n, V): how often training draws its budget, 1 if it never does."""
    budgets, which = np.unique(cores, return_inverse=True)
    weights = np.array([published.get(int(count)) or 1.0 for count in budgets])
    return weights[which].reshape(cores.shape)


def _by_budget(val: Features) -> NDArray[np.float16]:
    """Features of photos that were computed at all budgets, these ascending: (n, B, 2 D')."""
    return np.take_along_axis(val.values, np.argsort(val.cores, axis=1)[..., None], axis=1)


def _with_head(
    checkpoint: Checkpoint,
    head: LinearHead,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    certainty: Certainty,
) -> Checkpoint:
    tensors = {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
    return replace(
        checkpoint,
        head=tensors,
        labels=labels,
        preprocessing=preprocessing.to_dict(),
        certainty=certainty,
        digest="",
        path=None,
    )


def _previous_top1(checkpoint: Checkpoint, val: Features) -> list[float] | None:
    """Accuracy of the checkpoint's own head by budget, if it is for the same labels."""
    if checkpoint.head is None or sorted(checkpoint.labels) != list(val.photos.labels):
        return None
    head = LinearHead(checkpoint.head["weight"].numpy(), checkpoint.head["bias"].numpy())
    names = np.array([val.photos.labels.index(label) for label in checkpoint.labels])
    answers = names[head.logits(_by_budget(val)).argmax(axis=2)]
    return [round(float(share), 5) for share in (answers == val.photos.targets[:, None]).mean(axis=0)]


def _qualities(
    budgets: tuple[int, ...],
    logits: NDArray[np.floating],
    targets: Targets,
    labels: tuple[str, ...],
    previous: list[float] | None,
) -> tuple[BudgetQuality, ...]:
    cooled = cross_fitted(logits, targets)
    return tuple(
        BudgetQuality(
            cores,
            evaluate(cooled[:, index], targets, labels),
            evaluate(logits[:, index], targets, labels).ece,
            previous[index] if previous else None,
        )
        for index, cores in enumerate(budgets)
    )
