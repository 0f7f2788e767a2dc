"""Photos to evaluate a finished file on, as they are: the packaged ones, or those that a folder keeps for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require
from veca_edge.files import photo_folder
from veca_edge.image.scaling import averaged
from veca_edge.image.stills import has_image_name, images_in, read_image
from veca_edge.photos.calibration import SEED
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import Photos, entries, has_folders, read_any_folder
from veca_edge.photos.masks import Classes, Mask, MaskedPhotos, Pair, decoded, read_if_masked
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
        masks: n pictures of class numbers, uint8 (H, W) as large as their photos; () for photos without masks.
        classes: what the masks show, None without masks.
        seed: of the sample.
    """

    images: tuple[Image, ...]
    labels: tuple[str | None, ...]
    found: int
    skipped: int
    digest: str
    masks: tuple[Mask, ...] = ()
    classes: Classes | None = None
    seed: int = SEED

    def targets(self, labels: tuple[str, ...]) -> NDArray[np.int64]:
        """Index of each photo's label among a model's: int64 (n,), -1 where the model does not know it."""
        index: dict[str | None, int] = {label: place for place, label in enumerate(labels)}
        return np.array([index.get(label, -1) for label in self.labels], np.int64)


def read_photos(folder: Path | None, most: int) -> EvaluationPhotos:
    """Read photos to evaluate on.

    Args:
        folder: as `read_any_folder` takes it, or with targets (`photos.masks`), of which masks are read too; the
            photos that calibration learns from are left out, because a file must not be evaluated on them. None for
            the packaged ones.
        most: photos that are taken at most.

    Raises:
        VecaError: no such folder, too few photos in it, or none that can be read.
    """
    require("cv2", "run")
    if folder is None:
        with packaged_folder() as packaged:
            return _read(Photos.unlabelled(images_in(packaged)), most)
    masked = read_if_masked(folder, _unsaid, SEED)
    if masked is None:
        return _read(read_any_folder(folder, _unsaid, SEED)[1], most)
    return _read(masked.photos(SEED)[1], most, masked)


def read_images(folder: Path, most: int) -> list[Image]:
    """Images to compare models on: uint8 (H, W, 3), RGB.

    Args:
        folder: one with images in it, which are all taken, by name; or as `read_photos` takes it.
        most: images that are taken at most of the latter.

    Raises:
        VecaError: no such folder, no images in it, or one in it that cannot be read.
    """
    require("cv2", "run")
    folder = photo_folder(folder)
    if any(has_image_name(path) for path in entries(folder)) or not has_folders(folder):
        return [read_image(path) for path in images_in(folder)]
    return list(read_photos(folder, most).images)


def _read(photos: Photos, most: int, masked: MaskedPhotos | None = None) -> EvaluationPhotos:
    """The first so many of the photos, less those that cannot be read."""
    taken, digest, images, masks, kept = photos.select(range(min(most, len(photos)))), hashlib.sha256(), [], [], []
    for index, (image, mask) in _decoded(taken, masked):
        path = taken.paths[index]
        images.append(image)
        masks.extend(mask)
        kept.append(index)
        digest.update("/".join(path.parts[-2:]).encode("utf-8", "surrogateescape") + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    if not images:
        raise VecaError(f"none of the {len(taken)} photos to evaluate on can be read")
    return EvaluationPhotos(
        tuple(images),
        taken.select(kept).label_names(),
        found=len(photos),
        skipped=len(taken) - len(images),
        digest=digest.hexdigest(),
        masks=tuple(masks),
        classes=_classes(masked),
    )


def _decoded(photos: Photos, masked: MaskedPhotos | None) -> Iterator[tuple[int, tuple[Image, list[Mask]]]]:
    """Index, photo, and its mask if it has one."""
    if masked is None or (classes := _classes(masked)) is None:
        return readable(photos.paths, lambda image: (_reduced(image), list[Mask]()), _unsaid)
    targets = {pair.image: pair.target for pair in masked.val}
    pairs = [Pair(path, targets[path]) for path in photos.paths]
    return decoded(pairs, classes, lambda image, mask: (_reduced(image), [_thinned(mask)]), _unsaid)


def _classes(masked: MaskedPhotos | None) -> Classes | None:
    return masked.meaning if masked is not None and isinstance(masked.meaning, Classes) else None


def _unsaid(line: str) -> None:
    """Calibration has said it of the same folder."""


def _factor(height: int, width: int) -> int:
    """By which a photo is reduced, so that its longer side is below twice `SIDE`; 1 if it is or cannot be."""
    factor = max(height, width) // SIDE
    return factor if 2 <= factor <= min(height, width) else 1


def _reduced(image: Image) -> Image:
    factor = _factor(*image.shape[:2])
    height, width = (side // factor * factor for side in image.shape[:2])
    return image if factor == 1 else averaged(image[:height, :width], factor, factor)


def _thinned(mask: Mask) -> Mask:
    """A mask, as its photo is reduced: classes have no mean."""
    factor = _factor(*mask.shape)
    height, width = (side // factor for side in mask.shape)
    return mask[factor // 2 :: factor, factor // 2 :: factor][:height, :width]
