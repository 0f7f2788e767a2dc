"""How often results are right, on photos whose folder says what is."""

from __future__ import annotations

import numpy as np

from veca_edge.calibration.quality.agreement import Counts, Estimate, estimate, single
from veca_edge.modelfile.heads import DenseTask
from veca_edge.photos.evaluation import EvaluationPhotos
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Result
from veca_edge.training.heads.dense_metrics import Confusions
from veca_edge.training.heads.evaluation import class_numbers, seen


class RightAnswers:
    """Labels that a model knows, and masks for a head that knows all of their classes: the one with the fewest."""

    def __init__(self, model: Model, photos: EvaluationPhotos) -> None:
        """The right answers to a model's results on these photos."""
        self._targets = photos.targets(model.labels)
        self._task = _head_for(model, photos)
        if self._task is not None and photos.classes is not None:
            numbers = class_numbers(self._task, photos.classes)
            self._masks = [numbers[mask] for mask in photos.masks]

    def counts(self, index: int, result: Result) -> dict[str, Counts]:
        """What is right in the result on a photo, by "accuracy" and "miou": of what there is an answer to."""
        counts: dict[str, Counts] = {}
        target = self._targets[index]
        if target >= 0 and result.logits is not None:
            counts["accuracy"] = single(float(result.logits.argmax() == target))
        if self._task is not None:
            tally = Confusions(self._task.labels)
            tally.add(result.dense[self._task.name], seen(self._masks[index], result))
            both, either = tally.overlaps().astype(np.float64)
            counts["miou"] = np.stack([both, either, either])[None]
        return counts


def _head_for(model: Model, photos: EvaluationPhotos) -> DenseTask | None:
    if photos.classes is None:
        return None
    fitting = [task for task in model.tasks if set(photos.classes.labels) <= set(task.labels)]
    return min(fitting, key=lambda task: task.values, default=None)


def estimate_right(name: str, counts: Counts) -> Estimate:
    """Of all photos, the share that is right, or the mean IoU as `veca-edge evaluate` counts it, and its error."""
    value, error = estimate(counts, rare=0)
    return value, share_error(value, len(counts)) if name == "accuracy" else error


def share_error(share: float, count: float) -> float:
    """Standard error of a share of `count` images, one more of each kind assumed: never 0, however few agree."""
    likely = (share * count + 1) / (count + 2)
    return float(np.sqrt(likely * (1 - likely) / count))
