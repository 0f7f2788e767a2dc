"""Photos to evaluate a finished file on, as they are: the packaged ones, or those that a folder keeps for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require
from veca_edge.image.scaling import averaged
from veca_edge.image.stills import images_in
from veca_edge.photos.calibration import SEED
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import Photos
from veca_edge.photos.masks import read_any_photos
from veca_edge.photos.samples import packaged_folder

SIDE = 768  # pixels; larger photos are averaged by whole factors, so that all of them fit into memory


@dataclass(frozen=True, eq=False)
class EvaluationPhotos:
    """Decoded photos and where they come from.

    Attributes:
        images: n photos, uint8 (H, W, 3), RGB, of any sizes below twice `SIDE`.
        labels: n names of their folders, or None for photos that no folder labels.
        found: photos that could be evaluated on; a seeded sample of them was taken.
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


def read_photos(folder: Path | None, most: int) -> EvaluationPhotos:
    """Read photos to evaluate on.

    Args:
        folder: as `read_any_photos` takes it; the photos that calibration learns from are left out, because a file
            must not be evaluated on them. None for the packaged ones.
        most: photos that are taken at most.

    Raises:
        VecaError: no such folder, too few photos in it, or none that can be read.
    """
    require("cv2", "run")
    if folder is None:
        with packaged_folder() as packaged:
            return _read(Photos.unlabelled(images_in(packaged)), most)
    return _read(read_any_photos(folder, lambda line: None, SEED)[1], most)


def _read(photos: Photos, most: int) -> EvaluationPhotos:
    """The first so many of the photos, less those that cannot be read."""
    taken, digest, images, kept = photos.select(range(min(most, len(photos)))), hashlib.sha256(), [], []
    for index, image in readable(taken.paths, _reduced, lambda line: None):
        path = taken.paths[index]
        images.append(image)
        kept.append(index)
        digest.update("/".join(path.parts[-2:]).encode("utf-8", "surrogateescape") + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    if not images:
        raise VecaError(f"none of the {len(taken)} photos to evaluate on can be read")
    labels = taken.select(kept).label_names()
    return EvaluationPhotos(tuple(images), labels, len(photos), len(taken) - len(images), digest.hexdigest())


def _reduced(image: Image) -> Image:
    """A photo whose longer side is below twice `SIDE`."""
    factor = max(image.shape[:2]) // SIDE
    if factor < 2:
        return image
    height, width = (side // factor * factor for side in image.shape[:2])
    return image if not height or not width else averaged(image[:height, :width], factor, factor)
