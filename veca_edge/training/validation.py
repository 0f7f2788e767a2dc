"""Accuracy of a classifier on the `val` photos, by image size and budget."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from veca_edge.photos.store import PhotoStore
from veca_edge.runtime.dense import DenseResult
from veca_edge.training.dense import DenseData
from veca_edge.training.heads.dense_metrics import new_tally
from veca_edge.training.learner import Classifier
from veca_edge.training.masks import centre_squares, sample_targets
from veca_edge.training.views import crop, normalise, whole_views
from veca_edge.training.world import Autocast, World

BATCH = 256  # photos at 128 pixels; fewer at larger sizes
BATCH_SIZE = 128
MASK_BATCH = 16

Figures = dict[str, dict[str, dict[str, float]]]


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
        targets = sample_targets(store, rows, boxes, size).numpy()
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
