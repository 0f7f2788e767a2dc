"""Photos with masks or depths that a small model can learn: coloured rectangles on a noisy ground."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image

LABELS = ("ground", "red thing", "blue thing")
PAINT = {1: (220, 40, 40), 2: (40, 60, 220)}
STEP, UNIT = 0.01, "m"


def scene(seed: int, size: tuple[int, int] = (96, 120)) -> tuple[Image, NDArray[np.uint8]]:
    """A picture (height, width, 3) and its mask: two rectangles, one of each class."""
    random = np.random.default_rng(seed)
    height, width = size
    image = np.clip(random.normal(110, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    for number, colour in PAINT.items():
        y, x = random.integers(0, height - 40), random.integers(0, width - 40)
        tall, wide = random.integers(28, 40, 2)
        image[y : y + tall, x : x + wide] = colour
        mask[y : y + tall, x : x + wide] = number
    return image, mask


def write_masks(folder: Path, train: int = 12, val: int = 4) -> Path:
    """A folder for `read_masked_folder` with masks."""
    (folder / "labels.txt").write_text("\n".join(LABELS[:2]) + f"\n{LABELS[2]} #2040e0\n")
    for part, seeds in (("train", range(train)), ("val", range(100, 100 + val))):
        images, masks = folder / part / "images", folder / part / "masks"
        images.mkdir(parents=True)
        masks.mkdir()
        for seed in seeds:
            image, mask = scene(seed)
            cv2.imwrite(str(images / f"{seed:03}.png"), image[..., ::-1])
            cv2.imwrite(str(masks / f"{seed:03}.png"), mask)
    return folder


def write_values(folder: Path, train: int = 12, val: int = 4) -> Path:
    """A folder with values: the ground is 4 m away, the things 1 and 2; a corner is unknown."""
    (folder / "scale.txt").write_text(f"{STEP} {UNIT}\n")
    for part, seeds in (("train", range(train)), ("val", range(100, 100 + val))):
        images, values = folder / part / "images", folder / part / "values"
        images.mkdir(parents=True)
        values.mkdir()
        for seed in seeds:
            image, mask = scene(seed)
            metres = np.choose(mask, [4.0, 1.0, 2.0])
            metres[:8, :8] = 0
            cv2.imwrite(str(images / f"{seed:03}.png"), image[..., ::-1])
            if seed % 2:
                np.save(values / f"{seed:03}.npy", np.where(metres > 0, metres, np.nan).astype(np.float32))
            else:
                cv2.imwrite(str(values / f"{seed:03}.png"), np.rint(metres / STEP).astype(np.uint16))
    return folder
