"""Photos with masks or values, decoded once and kept in memory, and the views of them that training sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.arrays import Float, Image
from veca_edge.image.skipping import Say
from veca_edge.photos.masks import IGNORE, Classes, Pair, Scale, decoded
from veca_edge.photos.store import check_memory
from veca_edge.training.views import crop

Progress = Callable[[float], None]


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

    def digest(self) -> str:
        """A fingerprint of the targets and the sizes of photos; not of pixels, which decoders round differently."""
        found = hashlib.sha256(f"{self.classes} {tuple(self.targets.shape)}".encode())
        found.update(self.sizes.tobytes())
        found.update(self.targets.numpy())
        return found.hexdigest()

    def crop(self, rows: NDArray[np.int64], boxes: Float, size: int) -> Tensor:
        """Views of some photos: float32 (b, 3, size, size) in 0..1; boxes as those of `draw_squares`."""
        return crop(self.pixels[torch.from_numpy(rows)], boxes, size)


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
        VecaError: none can be used, or they would not fit into memory.
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
            small,
            cv2.resize(target, (side, side), interpolation=cv2.INTER_NEAREST),
        )

    for index, (size, photo, target) in decoded(pairs, meaning, prepare, say):
        progress(index / len(pairs))
        row = len(kept)
        pixels[row], targets[row] = torch.from_numpy(photo).permute(2, 0, 1), torch.from_numpy(target)
        sizes[row] = size
        kept.append(index)
    progress(1)
    count = len(kept)
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


def draw_wide(sizes: Float, scale: float, generator: np.random.Generator) -> Float:
    """Random squares as wide as a photo's shorter side or wider, in which it is seen small; some lie beyond it.

    Args:
        sizes: (n, 2), width and height of each photo.
        scale: the smallest at which its shorter side is seen, of the square's.
        generator: of the draws.

    Returns:
        Boxes like those of `draw_squares`.
    """
    return _placed(sizes.min(axis=1) / scale ** generator.random(len(sizes)), sizes, generator)


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
    store: MaskStore, rows: NDArray[np.int64], boxes: Float, side: int, outside: float = 0
) -> Tensor:
    """What views show, at the middles of their cells.

    Args:
        store: the photos.
        rows: (b,), which of them.
        boxes: (b, 4), the views.
        side: cells along a view's side.
        outside: what stands for places beyond the photo.

    Returns:
        (b, side, side), uint8 class numbers, 255 ignored; or float32 values, NaN unknown.
    """
    middles = (np.arange(side) + 0.5) / side
    last = store.targets.shape[-1] - 1

    def places(low: Float, high: Float) -> tuple[Tensor, Tensor]:
        where = (low[:, None] + (high - low)[:, None] * middles) * (last + 1)
        inside = (where >= 0) & (where < last + 1)
        return torch.from_numpy(np.clip(where, 0, last).astype(np.int64)), torch.from_numpy(inside)

    (x, beside), (y, above) = places(boxes[:, 0], boxes[:, 2]), places(boxes[:, 1], boxes[:, 3])
    found = store.targets[torch.from_numpy(rows)[:, None, None], y[:, :, None], x[:, None, :]]
    return torch.where(above[:, :, None] & beside[:, None, :], found, outside)


def class_shares(store: MaskStore) -> NDArray[np.float64]:
    """The share of each class among all pixels that say something: float64 (K,)."""
    counts = np.bincount(store.targets.numpy().ravel(), minlength=IGNORE + 1)[: store.classes]
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)
