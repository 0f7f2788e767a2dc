"""Photo sets and recipes small enough to train with in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from veca_edge.arrays import Image
from veca_edge.photos.store import PhotoStore
from veca_edge.playback.writers import save_png
from veca_edge.training.settings import Recipe, load_recipe
from veca_edge.training.world import World

LABELS = ("blue", "green", "red")
ALONE = World(0, 1, torch.device("cpu"))
TINY = (
    *("epochs=8", "batch_size=12", "photo_size=40", "log_every=1", "save_minutes=0", "optimizer.lr=3e-3"),
    *("model.hidden_dim=48", "model.num_heads=2", "model.num_layers=2", "model.num_cores=24"),
    *("phases=[{share=3, sizes=[32]}, {sizes=[32, 48]}]", "augment.mixup=0.3", "augment.cutmix=0.3"),
    *("validation.every_epochs=4", "validation.cores=[8, 24]"),
)


def tiny_recipe(*changes: str) -> Recipe:
    """Two layers, 48 wide, at 32 and 48 pixels; `changes` as "name=value"."""
    return load_recipe(None, [*TINY, *changes])


def as_options(*changes: str) -> list[str]:
    """The same recipe for a command line."""
    return [part for change in (*TINY, *changes) for part in ("--set", change)]


def coloured_photos(count: int, seed: int = 0) -> list[Image]:
    """Noise with much of one primary colour, 40 x 40, by label: the last third of `count` is red."""
    generator = np.random.default_rng(seed)
    photos = []
    for index in range(count):
        photo = generator.integers(0, 120, (40, 40, 3), dtype=np.uint8)
        photo[..., 2 - 3 * index // count] += 100
        photos.append(photo)
    return photos


def write_set(folder: Path, splits: dict[str, int], labels: tuple[str, ...] = LABELS) -> Path:
    """A folder of photos: `splits` says how many there are in which folder, "." for a set without val."""
    for seed, (split, count) in enumerate(splits.items()):
        for index, photo in enumerate(coloured_photos(count, seed)):
            path = folder / split / labels[3 * index // count] / f"{index:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_png(path, photo)
    return folder


def store(count: int, seed: int = 0) -> PhotoStore:
    """The same photos in memory."""
    pixels = torch.from_numpy(np.stack(coloured_photos(count, seed))).permute(0, 3, 1, 2).contiguous()
    return PhotoStore(pixels, torch.arange(count) * 3 // count, f"{count} {seed}")
