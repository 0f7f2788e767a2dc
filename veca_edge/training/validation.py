"""Accuracy of a classifier on the `val` photos, by image size and budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from time import monotonic

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from veca_edge.photos.store import PhotoStore
from veca_edge.runtime.dense import DenseResult
from veca_edge.training.dense import DenseData
from veca_edge.training.gradients import Task
from veca_edge.training.heads.dense_metrics import new_tally
from veca_edge.training.learner import Classifier
from veca_edge.training.masks import centre_squares, sample_targets
from veca_edge.training.views import crop, normalise, whole_views
from veca_edge.training.world import Autocast, World, autocast_for

BATCH = 256  # photos at 128 pixels; fewer at larger sizes
BATCH_SIZE = 128
MASK_BATCH = 16

FEW = 32  # photos that are timed

Figures = dict[str, dict[str, dict[str, float]]]


class Validation:
    """Validates classifiers on the `val` photos of a task, and those with masks."""

    def __init__(self, task: Task, world: World) -> None:
        self._task, self._world = task, world
        self._autocast = autocast_for(task.recipe, world.device)

    def __call__(self, classifier: Classifier) -> Figures:
        """Figures by image size and budget, see `validate` and `validate_masks`; leaves it in eval mode."""
        figures, masks = self._photos(classifier, self._task.val), self._task.masks
        return figures if masks is None else figures | self._masks(classifier, masks)

    def seconds(self, classifier: Classifier) -> float:
        """How long that takes, from a few of the photos; leaves it in eval mode."""
        val, masks = self._task.val, self._task.masks
        few = val.first(FEW)
        self._photos(classifier, few)  # to warm up
        began = monotonic()
        self._photos(classifier, few)
        seconds = (monotonic() - began) * len(val) / len(few)
        if masks is None:
            return seconds
        some, began = replace(masks, val=masks.val.first(FEW)), monotonic()
        self._masks(classifier, some)
        return seconds + (monotonic() - began) * len(masks.val) / len(some.val)

    def _photos(self, classifier: Classifier, photos: PhotoStore) -> Figures:
        recipe = self._task.recipe
        sizes, cores = recipe.validation_sizes, recipe.validation.cores
        return validate(classifier.eval(), photos, sizes, cores, self._world, self._autocast)

    def _masks(self, classifier: Classifier, masks: DenseData) -> Figures:
        recipe = self._task.recipe
        size, cores = recipe.masks.size, recipe.validation.cores
        return validate_masks(classifier.eval(), masks, size, cores, self._world, self._autocast)


def validate(
    classifier: Classifier,
    photos: PhotoStore,
    sizes: Iterable[int],
    budgets: Iterable[int],
    world: World,
    autocast: Autocast,
) -> Figures:
    """Top-1 accuracy and cross entropy on whole photos, the middle square of each.

    Args:
        classifier: in eval mode.
        photos: with labels; each process takes its share.
        sizes: of the images, pixels.
        budgets: core counts.
        world: the processes.
        autocast: makes a context of the precision to compute in.

    Returns:
        {size: {cores: {"top1": 0..1, "loss": nats}}}, the keys as text.
    """
    count, budgets = len(photos), list(budgets)
    result: Figures = {}
    for size in sizes:
        with torch.no_grad(), autocast():
            sums = world.sum(_sums(classifier, photos, size, budgets, world)).tolist()
        result[str(size)] = {
            str(cores): {"top1": right / count, "loss": loss / count}
            for cores, (right, loss) in zip(budgets, sums, strict=True)
        }
    return result


def validate_masks(
    classifier: Classifier, masks: DenseData, size: int, budgets: Iterable[int], world: World, autocast: Autocast
) -> Figures:
    """The dense head's scores on the middle square of whole photos.

    Args:
        classifier: in eval mode, with a dense head.
        masks: its data.
        size: pixels.
        budgets, world, autocast: as for `validate`; every process computes all of it.

    Returns:
        {"NAME SIZE": {cores: {score: value}}}, the scores as in `SegmentationScores` or `RegressionScores`.
    """
    layer, store = classifier.dense, masks.val
    assert layer is not None
    tallies = {cores: new_tally(layer.task) for cores in budgets}
    for rows in np.array_split(np.arange(len(store)), -(-len(store) // MASK_BATCH)):
        boxes = centre_squares(store.sizes[rows])
        images = normalise(store.crop(rows, boxes, size).to(world.device))
        targets = sample_targets(store, rows, boxes, size).cpu().numpy()
        for cores, tally in tallies.items():
            with torch.no_grad(), autocast():
                found = layer(classifier.veca(images, cores).features).float().permute(0, 2, 3, 1).cpu().numpy()
            for cells, target in zip(found, targets, strict=True):
                tally.add(DenseResult(layer.task, layer.in_unit(cells), (0, 0, size, size)), target)
    scores = {str(cores): tally.scores().to_dict() for cores, tally in tallies.items()}
    for values in scores.values():
        values.pop("iou", None)
    return {f"{layer.task.name} {size}": scores}


def _sums(classifier: Classifier, photos: PhotoStore, size: int, budgets: list[int], world: World) -> Tensor:
    """For every budget the number of this process's photos that are right, and their loss: float32 (budgets, 2)."""
    batch = max(1, int(BATCH * (BATCH_SIZE / size) ** 2))
    mine = torch.arange(world.rank, len(photos), world.size, device=photos.pixels.device)
    sums = torch.zeros(len(budgets), 2, device=world.device)
    for rows in mine.split(batch):
        pixels, targets = photos.pixels[rows].to(world.device), photos.targets[rows].to(world.device)
        images = normalise(crop(pixels, whole_views(len(rows)), size))
        for index, cores in enumerate(budgets):
            logits = classifier(images, cores)[1].float()
            loss = F.cross_entropy(logits, targets, reduction="sum")
            sums[index] += torch.stack([(logits.argmax(-1) == targets).sum().float(), loss])
    return sums
