"""Photos to judge a finished file by, as they are: the packaged ones, or those of a folder that judge."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, require
from veca_edge.image.scaling import averaged
from veca_edge.image.stills import images_in
from veca_edge.photos.calibration import SEED, find_photos
from veca_edge.photos.folders import decode_all

SIDE = 768  # pixels; larger photos are averaged by whole factors, so that all of them fit into memory

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class JudgePhotos:
    """Decoded photos and where they come from.

    Attributes:
        images: n photos, uint8 (H, W, 3), RGB, of any sizes below twice `SIDE`.
        labels: n names of their folders, or None for photos that no folder labels.
        found: photos that could judge; a seeded sample of them was taken.
        skipped: of the sample, those that could not be read.
        digest: SHA-256 over names and contents of the n files, hexadecimal.
        seed: of the sample.
    """

    images: tuple[Image, ...]
    labels: tuple[str | None, ...]
    found: int
    skipped: int
    digest: str
    seed: int = SEED

    def targets(self, labels: tuple[str, ...]) -> NDArray[np.int64]:
        """Index of each photo's label among a model's: int64 (n,), -1 where the model does not know it."""
        index: dict[str | None, int] = {label: place for place, label in enumerate(labels)}
        return np.array([index.get(label, -1) for label in self.labels], np.int64)


def read_photos(folder: Path | None, most: int) -> JudgePhotos:
    """Read photos to judge by.

    Args:
        folder: with a folder per label or without; those in it judge that `find_photos` lets judge, because a file
            that was calibrated on the others must not be judged by what it learned. None for the packaged ones.
        most: photos that are taken at most.

    Raises:
        VecaError: no such folder, too few photos in it, or none that can be read.
    """
    require("cv2", "run")
    if folder is None:
        with resources.as_file(resources.files("veca_edge.assets") / "photos") as packaged:
            paths = images_in(packaged)
            return _read(paths, [None] * len(paths), most)
    judge = find_photos(folder, lambda line: None)[1]
    return _read(judge.paths, [judge.labels[target] if target >= 0 else None for target in judge.targets], most)


def _read(paths: Sequence[Path], labels: Sequence[str | None], most: int) -> JudgePhotos:
    """The first so many of the photos, less those that cannot be read."""
    digest, images, kept = hashlib.sha256(), [], []
    taken = paths[:most]
    for path, label, image in zip(taken, labels, decode_all(taken, _reduced), strict=False):
        if isinstance(image, VecaError):
            continue
        images.append(image)
        kept.append(label)
        digest.update("/".join(path.parts[-2:]).encode("utf-8", "surrogateescape") + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    if not images:
        raise VecaError(f"none of the {len(taken)} photos to judge by can be read")
    return JudgePhotos(tuple(images), tuple(kept), len(paths), len(taken) - len(images), digest.hexdigest())


def _reduced(image: Image) -> Image:
    """A photo whose longer side is below twice `SIDE`."""
    factor = max(image.shape[:2]) // SIDE
    if factor < 2:
        return image
    height, width = (side // factor * factor for side in image.shape[:2])
    return image if not height or not width else averaged(image[:height, :width], factor, factor)
