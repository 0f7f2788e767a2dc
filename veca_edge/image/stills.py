"""Image files: found in a folder, and decoded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.headers import IMAGE_SUFFIXES, image_size
from veca_edge.image.opencv import check_pixels, quiet_opencv, to_rgb

HEADER = 65_536  # bytes that hold the header of nearly every photo


def read_image(path: Path) -> Image:
    """(H, W, 3) uint8 RGB from a JPEG, PNG, WebP, BMP or TIFF file, turned upright as its EXIF data says.

    Raises:
        VecaError: the file cannot be read, is not an image, is damaged, or has over 100 megapixels.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VecaError(f"cannot read {path}: {error.strerror}") from None
    _check_size(path, image_size(data))
    quiet_opencv()
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise VecaError(f"{path} is {_fault(data)}")
    return to_rgb(image)


def check_header(path: Path) -> None:
    """Raise a VecaError unless a file begins like an image that `read_image` reads; what follows may be damaged."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
            # Some cameras put a large preview in front of a JPEG's size, and TIFF may keep it at the end.
            size = image_size(head) or (image_size(head + file.read()) if len(head) == HEADER else None)
    except OSError as error:
        raise VecaError(f"cannot read {path}: {error.strerror}") from None
    _check_size(path, size)


def _check_size(path: Path, size: tuple[int, int] | None) -> None:
    if size is None:
        raise VecaError(f"cannot read {path}: it is not a JPEG, PNG, WebP, BMP or TIFF image")
    check_pixels(str(path), *size)


def _fault(data: bytes) -> str:
    """What is wrong with an image that does not decode: a TIFF may be sound but hold floats."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return "damaged or of a kind that is not supported (8 or 16 bits per channel)"
    return "damaged: it could not be decoded"


def has_image_name(path: Path) -> bool:
    """Whether a file is called like an image; "._photo.jpg" is a leftover of a file manager."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def images_in(folder: Path) -> list[Path]:
    """The image files directly inside a folder, by name; a VecaError if there are none."""
    try:
        entries = [path for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError as error:
        raise VecaError(f"cannot read {folder}: {error.strerror}") from None
    paths = [path for path in entries if has_image_name(path)]
    return _some(paths, folder)


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and its sub-folders, hidden ones aside, by path; a VecaError if none."""
    paths = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(place, name) for name in files if has_image_name(Path(name))]
    return _some(sorted(path for path in paths if path.is_file()), folder)


def _some(paths: list[Path], folder: Path) -> list[Path]:
    if not paths:
        raise VecaError(f"there are no images in {folder} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return paths
