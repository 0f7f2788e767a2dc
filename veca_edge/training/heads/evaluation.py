"""A model's results on photos with right answers, at every core budget and image size that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, shown
from veca_edge.image.skipping import Say
from veca_edge.modelfile.heads import DenseTask
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import Photos
from veca_edge.photos.masks import IGNORE, Classes, MaskedPhotos, decoded
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Result
from veca_edge.training.heads.dense_metrics import RegressionScores, SegmentationScores, new_tally
from veca_edge.training.heads.metrics import Scores, evaluate

Progress = Callable[[float], None]
Target = NDArray[Any]


@dataclass(frozen=True)
class Point:
    """Where a model is evaluated: cores and the image's size in pixels."""

    cores: int
    image_size: int


@dataclass(frozen=True, eq=False)
class PointScores:
    """How good a model is at one point."""

    point: Point
    scores: Scores | SegmentationScores | RegressionScores

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return vars(self.point) | self.scores.to_dict()


def evaluate_classifier(
    model: Model,
    photos: Photos,
    points: Sequence[Point],
    say: Say = lambda _: None,
    progress: Progress = lambda _: None,
) -> tuple[PointScores, ...]:
    """Top-1 and the like of a model's own classifier.

    Args:
        model: one with a classifier.
        photos: labelled ones; those whose label the model does not know are left out.
        points: where to evaluate.
        say: receives lines about what is left out.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: no classifier, or no photo that can be used.
    """
    if not model.labels:
        raise VecaError(f"{model.name} has no classifier: fit one with `veca-edge fit-head`")
    known = [photos.labels[target] in model.labels for target in photos.targets]
    if unknown := len(known) - sum(known):
        say(f"{unknown} of {len(known)} photos have a label that the model does not know: left out")
    chosen = photos.select(np.flatnonzero(known))
    if not len(chosen):
        raise VecaError(f"{model.name} knows none of the labels of these photos, such as {photos.labels[0]}")
    logits: dict[Point, list[NDArray[np.float32]]] = {point: [] for point in points}
    targets = []
    for row, image in readable(chosen.paths, lambda image: image, say):
        for point in points:
            found = model(image, point.cores, point.image_size).logits
            assert found is not None  # there are labels
            logits[point].append(found)
        targets.append(model.labels.index(chosen.labels[chosen.targets[row]]))
        progress((row + 1) / len(chosen))
    if not targets:
        raise VecaError(f"none of the {len(chosen)} photos can be read")
    right = np.array(targets, np.int64)
    return tuple(PointScores(point, evaluate(np.stack(logits[point]), right, model.labels)) for point in points)


def evaluate_dense(
    model: Model,
    name: str,
    photos: MaskedPhotos,
    points: Sequence[Point],
    say: Say = lambda _: None,
    progress: Progress = lambda _: None,
) -> tuple[PointScores, ...]:
    """Mean IoU or errors of a dense head on `photos.val`, in the pixels of what the model saw.

    Args:
        model: one with that head.
        name: of the head.
        photos: with targets; classes are matched by their names.
        points, say, progress: as for `evaluate_classifier`.

    Raises:
        VecaError: no such head, targets of another kind, a class that the head does not know, no photo that can be
            used, or nothing that is known where the model looks.
    """
    task = find_task(model, name)
    if task.kind != photos.kind:
        raise VecaError(f"head {name} is a {task.kind}, but the targets are those of a {photos.kind}")
    numbers = class_numbers(task, photos.meaning) if isinstance(photos.meaning, Classes) else None
    tallies = {point: new_tally(task) for point in points}

    def pair(image: Image, target: Target) -> tuple[Image, Target]:
        return image, target if numbers is None else numbers[target]

    for row, (image, target) in decoded(photos.val, photos.meaning, pair, say):
        for point in points:
            result = model(image, point.cores, point.image_size)
            tallies[point].add(result.dense[name], seen(target, result))
        progress((row + 1) / len(photos.val))
    if not all(tally.known for tally in tallies.values()):
        raise VecaError(f"there is nothing to evaluate head {name} on: the targets are unknown all over")
    return tuple(PointScores(point, tallies[point].scores()) for point in points)


def find_task(model: Model, name: str) -> DenseTask:
    """A model's dense head of this name, or VecaError."""
    for task in model.tasks:
        if task.name == name:
            return task
    have = (
        ", ".join(task.name for task in model.tasks)
        or "none: fit one with `veca-edge fit-head --task segmentation`"
    )
    raise VecaError(f"{model.name} has no head {shown(name)}, its dense heads: {have}")


def seen(target: Target, result: Result) -> Target:
    """Targets (H, W) of a photo, cut and resized to the pixels that the model saw; beyond the photo unknown."""
    left, top, width, height = result.crop
    rows, columns = result.image_size
    y = np.floor(top + (np.arange(rows) + 0.5) * height / rows).astype(np.int64)
    x = np.floor(left + (np.arange(columns) + 0.5) * width / columns).astype(np.int64)
    inside = ((y >= 0) & (y < len(target)))[:, None] & ((x >= 0) & (x < target.shape[1]))
    cut = target[np.clip(y, 0, len(target) - 1)[:, None], np.clip(x, 0, target.shape[1] - 1)]
    return np.where(inside, cut, IGNORE if target.dtype == np.uint8 else np.nan).astype(target.dtype)


def class_numbers(task: DenseTask, classes: Classes) -> NDArray[np.uint8]:
    """A table from a mask's class numbers to a segmentation head's: uint8 (256,), `IGNORE` where there is no class.

    Raises:
        VecaError: the head does not know a class.
    """
    table = np.full(256, IGNORE, np.uint8)
    for number, label in enumerate(classes.labels):
        if label not in task.labels:
            raise VecaError(f"head {task.name} has no class {label}: it has {', '.join(task.labels)[:200]}")
        table[number] = task.labels.index(label)
    return table
