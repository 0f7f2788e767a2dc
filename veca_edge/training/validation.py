"""Accuracy of a classifier on the `val` photos, by image size and budget."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from veca_edge.photos.store import PhotoStore
from veca_edge.training.learner import Classifier
from veca_edge.training.views import crop, normalise, whole_views
from veca_edge.training.world import Autocast, World

BATCH = 256  # photos at 128 pixels; fewer at larger sizes
BATCH_SIZE = 128

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
