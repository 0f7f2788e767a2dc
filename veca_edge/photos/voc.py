"""The layout of PASCAL VOC: photos, masks of the same names, and lists that say which of them are for what.

VOC2012/JPEGImages/*.jpg
VOC2012/SegmentationClass/*.png                      palette PNG of class numbers
VOC2012/ImageSets/Segmentation/train.txt, val.txt    names without an ending
"""

from __future__ import annotations

from pathlib import Path

from veca_edge.errors import VecaError
from veca_edge.files import is_folder, is_regular, shortened
from veca_edge.image.skipping import Say, Skipped
from veca_edge.photos.folders import small_text

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", Path("ImageSets", "Segmentation")
VOC_LABELS = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def is_voc(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return is_folder(folder / MASKS)


def read_voc(folder: Path, part: str, say: Say) -> list[tuple[Path, Path]]:
    """The photos and masks of a part, "train" or "val".

    Raises:
        VecaError: there is no list of them, or nothing of it is there.
    """
    listed = folder / LISTS / f"{part}.txt"
    if not is_regular(listed):
        raise VecaError(f"there is no {shortened(listed)}, which says which photos belong to {part}")
    pairs = []
    with Skipped(say) as skipped:
        for name in small_text(listed).split():
            pair = (folder / IMAGES / f"{name}.jpg", folder / MASKS / f"{name}.png")
            if missing := [path for path in pair if not is_regular(path)]:
                skipped(f"{shortened(missing[0])}: no such file")
            else:
                pairs.append(pair)
    if not pairs:
        raise VecaError(f"none of the photos in {shortened(listed)} is there")
    return pairs
