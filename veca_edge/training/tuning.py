"""Fine-tuning of the example teacher on the labels.

A small network that was trained on ImageNet learns a few thousand photos far better than one with random weights,
and the student learns that from its features and from the labels that it predicts for every view.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veca_edge.errors import VecaError
from veca_edge.photos.store import PhotoStore
from veca_edge.training.losses import label_loss
from veca_edge.training.schedule import TUNING, draws, rate_at
from veca_edge.training.settings import Recipe
from veca_edge.training.teachers import EMBEDDING, MobileNetV2
from veca_edge.training.views import crop, draw_views, mixed_labels, normalise, render, whole_views
from veca_edge.training.world import Autocast

BATCH = 128
WARMUP = 0.1

Report = Callable[[float], None]


def tune(
    teacher: MobileNetV2,
    photos: PhotoStore,
    classes: int,
    recipe: Recipe,
    autocast: Autocast,
    report: Report = lambda _: None,
) -> None:
    """Give a teacher a classifier and fine-tune both on the labelled photos, in place.

    Args:
        teacher: on its device.
        photos: to learn from; those without a label are not used.
        classes: K.
        recipe: gives the augmentation (without mixing) and the teacher's settings.
        autocast: makes a context of the precision to compute in.
        report: called with how much is done, 0..1; it may raise an error to stop.

    Raises:
        VecaError: the loss is not a number.
    """
    _add_classifier(teacher, classes)
    settings = recipe.teacher
    labelled = torch.nonzero(photos.targets >= 0).flatten().cpu().numpy()
    parameters = [value for value in teacher.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.tune_lr, weight_decay=recipe.optimizer.weight_decay)
    each = math.ceil(len(labelled) / BATCH)
    for epoch in range(settings.tune_epochs):
        generator = draws(recipe.seed, TUNING, epoch)
        order = generator.permutation(labelled)
        losses = []
        for index in range(each):
            rate = rate_at(epoch * each + index, settings.tune_epochs * each, WARMUP, 0.0)
            for group in optimizer.param_groups:
                group["lr"] = settings.tune_lr * rate
            rows = order[index * BATCH : (index + 1) * BATCH]
            loss = _loss(teacher, photos, rows, classes, recipe, generator, autocast)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            losses.append(loss.detach())
            report((epoch * each + index + 1) / (settings.tune_epochs * each))
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise VecaError("tuning the teacher: the loss is not a number: lower teacher.tune_lr")


def accuracy(teacher: MobileNetV2, photos: PhotoStore, recipe: Recipe, autocast: Autocast) -> float:
    """Top-1 accuracy (0..1) of a tuned teacher on whole photos, at the size at which it sees views."""
    device, size, right = next(teacher.parameters()).device, _size(recipe), 0
    for rows in torch.arange(len(photos), device=photos.pixels.device).split(BATCH):
        images = normalise(crop(photos.pixels[rows].to(device), whole_views(len(rows)), size))
        with torch.no_grad(), autocast():
            logits = teacher(images)[2]
        right += int((logits.argmax(-1) == photos.targets[rows].to(device)).sum())
    return right / len(photos)


def _loss(
    teacher: MobileNetV2,
    photos: PhotoStore,
    rows: NDArray[np.int64],
    classes: int,
    recipe: Recipe,
    generator: np.random.Generator,
    autocast: Autocast,
) -> Tensor:
    """The loss on views of some photos."""
    device, everything = next(teacher.parameters()).device, slice(None)
    chosen = torch.from_numpy(rows).to(photos.pixels.device)
    views = draw_views(len(rows), recipe.augment.unmixed(), generator)
    images, shares = render(photos, chosen, views, everything, _size(recipe), device)
    labels = mixed_labels(photos, chosen, views, everything, shares, classes)
    with autocast():
        logits = teacher(normalise(images))[2]
    return label_loss(logits, labels, recipe.loss.label_smoothing)


def _size(recipe: Recipe) -> int:
    return recipe.teacher.image_size or recipe.phases[0].sizes[0]


def _add_classifier(teacher: MobileNetV2, classes: int) -> None:
    device = next(teacher.parameters()).device
    teacher.weights["classifier_weight"] = nn.Parameter(torch.zeros(classes, EMBEDDING, device=device))
    teacher.weights["classifier_bias"] = nn.Parameter(torch.zeros(classes, device=device))
