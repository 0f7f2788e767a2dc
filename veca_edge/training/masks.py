"""Photos with masks or values, decoded once and kept in memory, and the views of them that training sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError
from veca_edge.image.skipping import Say
from veca_edge.photos.masks import IGNORE, Classes, Pair, Scale, decoded
from veca_edge.photos.store import check_memory, has_room, planes
from veca_edge.training.views import crop, turned_grid

Progress = Callable[[float], None]
CLOSEST = 1.7  # the largest scale of what is put on other photos: a head and shoulders fill the view
FARTHEST = 0.45  # so much of a view what is put there may be pushed over its edge


@dataclass(frozen=True, eq=False)
class MaskStore:
    """Decoded photos with their targets, each stretched to a square so that all have one shape.

    Attributes:
        pixels: uint8 (n, 3, S, S), RGB.
        targets: uint8 (n, S, S), class numbers, 255 ignored; or float32 (n, S, S), values, NaN unknown.
        sizes: float32 (n, 2), width and height of each photo in pixels.
        kept: indices of the photos that could be used, ascending.
        classes: K of masks; 0 of values.
    """

    pixels: Tensor
    targets: Tensor
    sizes: Float
    kept: tuple[int, ...]
    classes: int

    def __len__(self) -> int:
        return len(self.pixels)

    def first(self, count: int) -> MaskStore:
        """The first photos, all if there are no more."""
        return MaskStore(
            self.pixels[:count], self.targets[:count], self.sizes[:count], self.kept[:count], self.classes
        )

    def to(self, device: torch.device) -> MaskStore:
        """Where batches are made: on an accelerator if it has room to spare, else where they are."""
        if not has_room(device, self.pixels.nbytes + self.targets.nbytes):
            return self
        return replace(self, pixels=self.pixels.to(device), targets=self.targets.to(device))

    def digest(self) -> str:
        """A fingerprint of the targets and the sizes of photos; not of pixels, which decoders round differently."""
        found = hashlib.sha256(f"{self.classes} {tuple(self.targets.shape)}".encode())
        found.update(self.sizes.tobytes())
        found.update(self.targets.cpu().numpy())
        return found.hexdigest()

    def crop(self, rows: NDArray[np.int64], boxes: Float, size: int, angles: Float | None = None) -> Tensor:
        """Views of some photos, see `crop`: float32 (b, 3, size, size) in 0..1; boxes as of `draw_squares`."""
        return crop(self.pixels[torch.from_numpy(rows).to(self.pixels.device)], boxes, size, angles)


def load_masked(
    pairs: Sequence[Pair],
    meaning: Classes | Scale,
    side: int,
    say: Say = lambda _: None,
    progress: Progress = lambda _: None,
) -> MaskStore:
    """Decode photos and targets.

    Args:
        pairs: what to decode.
        meaning: of the targets.
        side: S, pixels.
        say: receives lines about what is skipped.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: none can be used, none says anything, or they would not fit into memory.
    """
    import cv2

    masks = isinstance(meaning, Classes)
    check_memory(len(pairs), side, 4 if masks else 7)
    pixels = torch.empty((len(pairs), 3, side, side), dtype=torch.uint8)
    targets = torch.empty((len(pairs), side, side), dtype=torch.uint8 if masks else torch.float32)
    sizes, kept = np.empty((len(pairs), 2), np.float32), list[int]()

    def prepare(image: Image, target: NDArray[np.generic]) -> tuple[tuple[int, int], Image, NDArray[np.generic]]:
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        return (
            (image.shape[1], image.shape[0]),
            planes(small),
            cv2.resize(target, (side, side), interpolation=cv2.INTER_NEAREST),
        )

    for index, (size, photo, target) in decoded(pairs, meaning, prepare, say):
        progress(index / len(pairs))
        row = len(kept)
        pixels[row], targets[row] = torch.from_numpy(photo), torch.from_numpy(target)
        sizes[row] = size
        kept.append(index)
    progress(1)
    count = len(kept)
    told = targets[:count] != IGNORE if masks else targets[:count].isfinite()
    if not bool(told.any()):
        raise VecaError(f"none of the {len(pairs)} photos has a target that says anything: all of it is unknown")
    classes = len(meaning.labels) if isinstance(meaning, Classes) else 0
    return MaskStore(pixels[:count], targets[:count], sizes[:count], tuple(kept), classes)


def draw_squares(sizes: Float, least: float, generator: np.random.Generator) -> Float:
    """Random square crops of photos, half of them mirrored.

    Args:
        sizes: (n, 2), width and height of each photo.
        least: area of the smallest crop, as a share of the largest square's.
        generator: of the draws.

    Returns:
        float32 (n, 4): left, top, right, bottom in 0..1 of the photo; left > right where mirrored.
    """
    return _placed(np.sqrt(generator.uniform(least, 1, len(sizes))) * sizes.min(axis=1), sizes, generator)


def draw_around(sizes: Float, scale: float, generator: np.random.Generator) -> Float:
    """Random squares around a photo, in which it is seen small, large, or cut off by an edge.

    Args:
        sizes: (n, 2), width and height of each photo.
        scale: the smallest at which its shorter side is seen, of the square's; the largest is `CLOSEST`.
        generator: of the draws.

    Returns:
        Boxes like those of `draw_squares`, that may lie partly beyond the photo.
    """
    side = sizes.min(axis=1) / (CLOSEST * (scale / CLOSEST) ** generator.random(len(sizes)))
    boxes = _placed(side, sizes, generator)
    shift = generator.uniform(-FARTHEST, FARTHEST, (len(sizes), 2)) * (side[:, None] / sizes)
    return np.asarray(boxes + np.concatenate([shift, shift], axis=1), np.float32)


def _placed(side: NDArray[np.floating], sizes: Float, generator: np.random.Generator) -> Float:
    """Squares of these sides in pixels, somewhere on their photos, half of them mirrored."""
    count = len(sizes)
    extent = side[:, None] / sizes
    start = generator.random((count, 2)) * (1 - extent)
    boxes = np.concatenate([start, start + extent], axis=1).astype(np.float32)
    mirrored = generator.random(count) < 0.5
    boxes[mirrored] = boxes[mirrored][:, [2, 1, 0, 3]]
    return boxes


def centre_squares(sizes: Float) -> Float:
    """The largest square in the middle of each photo, as boxes like those of `draw_squares`."""
    extent = sizes.min(axis=1, keepdims=True) / sizes
    return np.asarray(np.concatenate([(1 - extent) / 2, (1 + extent) / 2], axis=1), np.float32)


def sample_targets(
    store: MaskStore,
    rows: NDArray[np.int64],
    boxes: Float,
    side: int,
    outside: float = 0,
    angles: Float | None = None,
) -> Tensor:
    """What views show, at the middles of their cells.

    Args:
        store: the photos.
        rows: (b,), which of them.
        boxes: (b, 4), the views.
        side: cells along a view's side.
        outside: what stands for places beyond the photo.
        angles: (b,), by which the views are turned, radians; None for not at all.

    Returns:
        (b, side, side), uint8 class numbers, 255 ignored; or float32 values, NaN unknown.
    """
    middles = (np.arange(side) + 0.5) / side
    across, down = middles[None, None], middles[None, :, None]
    if angles is not None and angles.any():
        across, down = ((1 + turned_grid(angles, side)) / 2).numpy().transpose(3, 0, 1, 2)
    last, device = store.targets.shape[-1] - 1, store.targets.device

    def places(low: Float, high: Float, cells: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
        where = (low[:, None, None] + (high - low)[:, None, None] * cells) * (last + 1)
        inside = (where >= 0) & (where < last + 1)
        cells = np.clip(where, 0, last).astype(np.int64)
        return torch.from_numpy(cells).to(device), torch.from_numpy(inside).to(device)

    (x, beside), (y, above) = places(boxes[:, 0], boxes[:, 2], across), places(boxes[:, 1], boxes[:, 3], down)
    found = store.targets[torch.from_numpy(rows).to(device)[:, None, None], y, x]
    return torch.where(above & beside, found, outside)


def class_shares(store: MaskStore) -> NDArray[np.float64]:
    """The share of each class among all pixels that say something: float64 (K,)."""
    counts = np.bincount(store.targets.cpu().numpy().ravel(), minlength=IGNORE + 1)[: store.classes]
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)
