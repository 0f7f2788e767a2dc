"""Dense heads in training: the layer, its losses, and the photos with masks or values that it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from veca_edge.arrays import Float
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.photos.masks import IGNORE, Classes, Scale
from veca_edge.training.flaws import draw_flaws, flawed
from veca_edge.training.masks import MaskStore, class_shares, draw_around, draw_squares, sample_targets
from veca_edge.training.settings import AugmentSettings, MaskSettings
from veca_edge.training.views import colour_factors, coloured, draw_angles

# Rare classes count more, by share ** -RARE; and of the loss so much is 1 - IoU, which weighs all classes equally.
RARE, OVERLAP = 0.25, 0.8
ROBUST = 0.2  # errors of values above so many deviations count linearly
BACKGROUND = 0  # the class of what is not a thing, where it is called so
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
        part: slice,
        patch_size: int,
        settings: MaskSettings,
        augment: AugmentSettings,
        generator: np.random.Generator,
    ) -> tuple[Tensor, Tensor]:
        """A part of a batch of views of random photos.

        Args:
            part: those that are made of the `settings.batch_size` views.
            patch_size: pixels.
            settings: how many views, how large, and how many get another photo's things.
            augment: how small a view may be, how it is turned, its colours and flaws; what is erased is unknown.
            generator: of the draws for the whole batch.

        Returns:
            Images float32 (b, 3, size, size) in 0..1, and targets (b, s, s) as `sample_targets` takes them.
        """
        side = detail(self.task, settings.size // patch_size)
        views = self._draw(settings, augment, generator)
        images, targets = self._seen(views[part], settings.size, side, self._unknown)
        if settings.paste:
            pasted = (generator.random(settings.batch_size) < settings.paste)[part]
            things = self._draw(settings, augment, generator, around=True)[part][pasted]
            rows = torch.from_numpy(np.flatnonzero(pasted)).to(images.device)
            images[rows], targets[rows] = self._paste(things, images[rows], targets[rows])
        flaws = draw_flaws(settings.batch_size, augment, generator)[part]
        return flawed(images, flaws), torch.where(flaws.inside(side, targets.device), self._unknown, targets)

    @property
    def _unknown(self) -> float:
        return IGNORE if self.task.kind == "segmentation" else float("nan")

    def _draw(
        self,
        settings: MaskSettings,
        augment: AugmentSettings,
        generator: np.random.Generator,
        around: bool = False,
    ) -> _Views:
        rows = generator.integers(len(self.train), size=settings.batch_size)
        sizes = self.train.sizes[rows]
        if around:
            boxes = draw_around(sizes, settings.paste_scale, generator)
        else:
            boxes = draw_squares(sizes, augment.crop_area, generator)
        colours = colour_factors(len(rows), augment, generator)
        return _Views(rows, boxes, colours, draw_angles(len(rows), augment, generator))

    def _seen(self, views: _Views, size: int, side: int, outside: float) -> tuple[Tensor, Tensor]:
        images = self.train.crop(views.rows, views.boxes, size, views.angles)
        return coloured(images, torch.from_numpy(views.colours)), self._targets(views, side, outside)

    def _targets(self, views: _Views, side: int, outside: float) -> Tensor:
        return sample_targets(self.train, views.rows, views.boxes, side, outside, views.angles)

    def _paste(self, views: _Views, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Images and targets, with what these views show that is not background on top."""
        size, side = images.shape[-1], targets.shape[-1]
        above, wanted = self._seen(views, size, side, BACKGROUND)
        cut = (self._targets(views, size, BACKGROUND) != BACKGROUND).float()
        # A soft edge: a hard one would be learned as the sign of a thing.
        share = F.avg_pool2d(cut[:, None], 3, stride=1, padding=1)
        return images + share * (above - images), torch.where(wanted != BACKGROUND, wanted, targets)


@dataclass(frozen=True, eq=False)
class _Views:
    """Views of photos.

    Attributes:
        rows: int64 (b,), the photos.
        boxes: float32 (b, 4), as those of `draw_squares` and `draw_around`.
        colours: float32 (b, 3), as those of `colour_factors`.
        angles: float32 (b,), as those of `draw_angles`.
    """

    rows: NDArray[np.int64]
    boxes: Float
    colours: Float
    angles: Float

    def __getitem__(self, chosen: slice | NDArray[np.bool_]) -> _Views:
        return _Views(self.rows[chosen], self.boxes[chosen], self.colours[chosen], self.angles[chosen])


def new_task(name: str, cells: int, meaning: Classes | Scale, store: MaskStore) -> DenseTask:
    """The task of a new head.

    Args:
        name: of the head.
        cells: k.
        meaning: of the targets.
        store: photos to learn from; the range of a regression's values is theirs.

    Raises:
        VecaError: an impossible name or number of cells.
    """
    if isinstance(meaning, Classes):
        return DenseTask(name, "segmentation", cells, meaning.labels, meaning.colours)
    values = store.targets[store.targets.isfinite()].numpy()
    low, high = (float(value) for value in np.percentile(values, (1, 99)))
    high = high if high > low else low + max(1, abs(low))
    return DenseTask(name, "regression", cells, unit=meaning.unit, range=(low, high))


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

    def enlarged(self, features: Tensor, side: int) -> Tensor:
        """What `forward` gives, as pictures (B, K, side, side)."""
        found = self(features).float()
        if found.shape[-1] == side:
            return found
        return F.interpolate(found, (side, side), mode="bilinear", align_corners=False)

    def loss(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (B, N, D') for targets (B, s, s)."""
        return self._loss(self.enlarged(features, targets.shape[-1]), targets)

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
