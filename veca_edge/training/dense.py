"""Dense heads in training: the layer, its losses, and the photos with masks or values that it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from veca_edge.arrays import Float
from veca_edge.errors import VecaError
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.photos.masks import IGNORE, Classes, Scale
from veca_edge.training.masks import MaskStore, class_shares, draw_squares, sample_targets
from veca_edge.training.settings import AugmentSettings
from veca_edge.training.views import colour_factors, coloured

# Rare classes count more, by share ** -RARE; and of the loss so much is 1 - IoU, which weighs all classes equally.
RARE, OVERLAP = 0.25, 0.8
ROBUST = 0.2  # errors of values above so many deviations count linearly
DETAIL = 4  # targets are compared at so many places along a patch's side, however few cells there are


@dataclass(frozen=True, eq=False)
class DenseData:
    """What a dense head learns.

    Attributes:
        task: the head.
        train, val: photos to learn from and to evaluate on.
    """

    task: DenseTask
    train: MaskStore
    val: MaskStore

    def batch(
        self,
        count: int,
        part: slice,
        size: int,
        patch_size: int,
        settings: AugmentSettings,
        generator: np.random.Generator,
    ) -> tuple[Tensor, Tensor]:
        """A part of a batch of `count` views of random photos.

        Args:
            count: views in the whole batch.
            part: those that are made.
            size: pixels.
            patch_size: pixels.
            settings: how small a view may be, and how its colours change.
            generator: of the draws for the whole batch.

        Returns:
            Images float32 (b, 3, size, size) in 0..1, and targets (b, s, s) as `sample_targets` takes them.
        """
        rows = generator.integers(len(self.train), size=count)
        boxes = draw_squares(self.train.sizes[rows], settings.crop_area, generator)
        factors = colour_factors(count, settings, generator)
        images = coloured(self.train.crop(rows[part], boxes[part], size), torch.from_numpy(factors[part]))
        side = detail(self.task, size // patch_size)
        return images, sample_targets(self.train, rows[part], boxes[part], side)


def new_task(name: str, cells: int, meaning: Classes | Scale, store: MaskStore) -> DenseTask:
    """The task of a new head.

    Args:
        name: of the head.
        cells: k.
        meaning: of the targets.
        store: photos to learn from; the range of a regression's values is theirs.

    Raises:
        VecaError: an impossible name or number of cells, or no value that is known.
    """
    if isinstance(meaning, Classes):
        return DenseTask(name, "segmentation", cells, meaning.labels, meaning.colours)
    values = store.targets[store.targets.isfinite()].numpy()
    if not len(values):
        raise VecaError("none of the targets holds a value: all of them are unknown")
    low, high = (float(value) for value in np.percentile(values, (1, 99)))
    return DenseTask(name, "regression", cells, unit=meaning.unit, range=(low, high if high > low else low + 1))


def detail(task: DenseTask, rows: int) -> int:
    """Places along the side of a view of `rows` x `rows` patches at which results and targets are compared."""
    return max(task.cells, DETAIL) * rows


def as_picture(outputs: Tensor, task: DenseTask) -> Tensor:
    """A dense head's outputs (b, N, K k k) of square images as pictures (b, K, side, side)."""
    side = round(outputs.shape[1] ** 0.5)
    planes = outputs.transpose(1, 2).reshape(len(outputs), -1, side, side)
    return F.pixel_shuffle(planes, task.cells)


class SegmentationLoss:
    """Cross entropy in each place, and the overlap of each class in a batch."""

    centre, spread = 0.0, 1.0

    def __init__(self, store: MaskStore) -> None:
        shares = torch.from_numpy(class_shares(store)).float().clamp(min=1e-5)
        importance = shares**-RARE
        self._importance = importance / (importance * shares).sum()
        self.start = shares.log()

    def __call__(self, found: Tensor, wanted: Tensor) -> Tensor:
        """The loss of logits (b, K, s, s) for class numbers uint8 (b, s, s)."""
        classes = wanted.long()
        entropy = F.cross_entropy(
            found, classes, self._importance.to(found.device), ignore_index=IGNORE, reduction="sum"
        )
        known = (classes != IGNORE)[..., None]
        entropy = entropy / known.sum().clamp(min=1)
        right = F.one_hot(torch.where(known[..., 0], classes, 0), found.shape[1]) * known
        shares = found.softmax(1).permute(0, 2, 3, 1) * known
        both = (shares * right).sum((0, 1, 2))
        either = (shares + right).sum((0, 1, 2)) - both
        there = right.sum((0, 1, 2)) > 0  # of a class that no view shows nothing can overlap
        overlap = (1 - both / either.clamp(min=1e-6))[there].mean() if bool(there.any()) else entropy
        return (1 - OVERLAP) * entropy + OVERLAP * overlap


class RegressionLoss:
    """Huber's loss of values in deviations."""

    def __init__(self, task: DenseTask) -> None:
        low, high = task.range
        self.centre, self.spread = (low + high) / 2, (high - low) / 4
        self.start = torch.zeros(1)

    def __call__(self, found: Tensor, wanted: Tensor) -> Tensor:
        """The loss of values (b, 1, s, s), in deviations from the centre, for values (b, s, s), NaN unknown."""
        known = wanted.isfinite()
        target = torch.where(known, (wanted - self.centre) / self.spread, 0)
        losses = F.huber_loss(found[:, 0], target, reduction="none", delta=ROBUST)
        return (known * losses).sum() / known.sum().clamp(min=1)


Loss: TypeAlias = SegmentationLoss | RegressionLoss


def dense_loss(task: DenseTask, store: MaskStore) -> Loss:
    """The loss of a task on these photos."""
    return SegmentationLoss(store) if task.kind == "segmentation" else RegressionLoss(task)


class DenseLayer(nn.Module):  # type: ignore[misc]
    """A dense head while the model learns with it."""

    def __init__(self, width: int, task: DenseTask, store: MaskStore) -> None:
        """Args: width: D' of the features. store: photos to learn from, whose statistics the loss takes."""
        super().__init__()
        self.task = task
        self._loss = dense_loss(task, store)
        self.linear = nn.Linear(width, task.outputs)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.bias.copy_(self._loss.start.repeat_interleave(task.cells**2))

    def forward(self, features: Tensor) -> Tensor:
        """Pictures (B, K, side, side) of features (B, N, D') of square images."""
        return as_picture(self.linear(features), self.task)

    def loss(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (B, N, D') for targets (B, s, s)."""
        found, side = self(features).float(), targets.shape[-1]
        if found.shape[-1] != side:
            found = F.interpolate(found, (side, side), mode="bilinear", align_corners=False)
        return self._loss(found, targets)

    def load(self, head: DenseHead) -> None:
        """Take the weights of a head of the same task."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(head.weight) / self._loss.spread)
            self.linear.bias.copy_((torch.from_numpy(head.bias) - self._loss.centre) / self._loss.spread)

    def in_unit(self, cells: Float) -> Float:
        """What `forward` gives, as values in the unit; logits as they are."""
        return np.asarray(self._loss.spread * cells + self._loss.centre, np.float32)

    def head(self) -> DenseHead:
        """The head as a checkpoint holds it."""
        weight, bias = (value.detach().float().cpu() for value in (self.linear.weight, self.linear.bias))
        spread, centre = self._loss.spread, self._loss.centre
        return DenseHead(self.task, (spread * weight).numpy(), (spread * bias + centre).numpy())
