"""Image files: found in a folder, and decoded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.files import is_regular, is_there
from veca_edge.image.formats import BMP, FILM_SUFFIXES, IMAGE_SUFFIXES, READ, SNIFF, TIFF, UNREAD_SUFFIXES
from veca_edge.image.headers import grey_key, image_size, is_torn, orientation, still_format, white
from veca_edge.image.opencv import check_pixels, full_range, to_rgb
from veca_edge.image.tags import EXTRA_SAMPLES, ORIENTATION, PREMULTIPLIED, is_negative, tiff_tags, with_value

MAX_BYTES = 2**29  # of an image file


def read_image(path: Path) -> Image:
    """(H, W, 3) uint8 RGB from an image file, turned upright as it says, on white where it is transparent.

    Of an image with several pictures (animations, pages) it is the first.

    Raises:
        VecaError: the file cannot be read, is not an image of a format that OpenCV reads, is damaged, or has over
            100 megapixels.
    """
    data = read_whole(path)
    _check(path, data)
    decoded, premultiplied = _decoded(data)
    if decoded is None:
        raise VecaError(f"{path} is {_fault(data)}")
    return upright(to_rgb(decoded, premultiplied=premultiplied), orientation(data))


def read_whole(path: Path) -> bytes:
    """An image file's bytes; a VecaError if it cannot be read or is too large for an image."""
    data = _start(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise VecaError(f"cannot read {path}: it has over {MAX_BYTES // 2**20} MB, too large for an image")
    return data


def _start(path: Path, count: int) -> bytes:
    """The first bytes of a file."""
    if is_there(path) and not is_regular(path):  # opening a FIFO would wait for someone to write to it
        raise VecaError(f"cannot read {path}: it is not a file: give the path of an image")
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise VecaError(f"cannot read {path}: {error.strerror}") from None


def check_header(path: Path) -> None:
    """Raise a VecaError unless a file begins like an image that `read_image` reads; what follows may be damaged."""
    head = _start(path, SNIFF)
    # Some cameras put a large preview in front of a JPEG's size, and TIFF often has it at the end.
    whole = len(head) == SNIFF and image_size(head) is None and still_format(head) is not None
    _check(path, read_whole(path) if whole else head)


def upright(image: Image, turn: int) -> Image:
    """An image turned as an EXIF orientation (1 to 8) says."""
    if turn >= 5:  # rows were columns
        image = image.transpose(1, 0, 2)
    if turn in (3, 4, 7, 8):
        image = image[::-1]
    if turn in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _check(path: Path, data: bytes) -> None:
    """Refuse what cannot be read, or would take too much memory."""
    if found := still_format(data):
        found.check(path)
    size = image_size(data)
    if size is None:
        raise VecaError(f"cannot read {path}: it is not {READ}")
    if not all(size):
        raise VecaError(f"{path} is damaged: its header says {size[0]}x{size[1]} pixels")
    check_pixels(str(path), *size)


def _decoded(data: bytes) -> tuple[NDArray[Any] | None, bool]:
    """What OpenCV makes of an image, neither turned nor made opaque; and whether alpha is in its colours.

    Versions of OpenCV differ in which formats they turn, so none is; None for what cannot be decoded.
    """
    import cv2

    kind, premultiplied = still_format(data), False
    if is_torn(data):
        return None, False
    if kind == TIFF:
        tags = tiff_tags(data)
        alpha = tags.get(EXTRA_SAMPLES)
        premultiplied = alpha is not None and alpha.value == PREMULTIPLIED
        # libtiff turns a part of the files by itself, and multiplies a part of them with their alpha.
        for tag, value in ((tags.get(ORIENTATION), 1), (alpha if not premultiplied else None, 0)):
            data = data if tag is None else with_value(data, tag, value)
    try:
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        return None, False
    image = full_range(image, white(data))
    if kind == TIFF and image.dtype == np.uint16 and is_negative(data):  # of 8 bits it turns them by itself
        image = ~image
    if kind == BMP and image.ndim == 3 and image.shape[2] == 4 and not image[..., 3].any():
        return image[..., :3], False  # many programs leave those bytes at 0
    key = grey_key(data) if image.ndim == 2 else None
    if key is not None:
        most = np.iinfo(image.dtype).max
        image = np.dstack([image] * 3 + [np.where(image == key, 0, most).astype(image.dtype)])
    return image, premultiplied


def _fault(data: bytes) -> str:
    """What is wrong with an image that does not decode: a TIFF may be sound but hold floats."""
    if still_format(data) == TIFF:
        return "damaged or of a kind that is not supported (8 or 16 bits per channel)"
    return "damaged: it could not be decoded"


def has_image_name(path: Path) -> bool:
    """Whether a file is called like an image, be it one that can be read or not, so that this can be told.

    "._photo.jpg" is a leftover of a file manager.
    """
    return path.suffix.lower() in IMAGE_SUFFIXES | UNREAD_SUFFIXES and not path.name.startswith(".")


def images_in(folder: Path) -> list[Path]:
    """The image files directly inside a folder, by name; a VecaError if there are none."""
    try:
        entries = sorted(folder.iterdir())
        files = [path for path in entries if path.is_file()]
    except OSError as error:
        raise VecaError(f"cannot read {folder}: {error.strerror}") from None
    paths = [path for path in files if has_image_name(path)]
    if not paths and len(files) < len(entries):
        raise VecaError(f"there are no images in {folder} itself, and its sub-folders are not looked at: name them")
    return _some(paths, folder)


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and its sub-folders, hidden ones aside, by path; a VecaError if none."""
    return _some(_below(folder, IMAGE_SUFFIXES | UNREAD_SUFFIXES), folder)


def films_below(folder: Path) -> list[Path]:
    """The films in a folder and its sub-folders, by their names, hidden ones aside."""
    return _below(folder, FILM_SUFFIXES)


def _below(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    paths = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        named = (Path(place, name) for name in files if not name.startswith("."))
        paths += [path for path in named if path.suffix.lower() in suffixes and path.is_file()]
    return sorted(paths)


def _some(paths: list[Path], folder: Path) -> list[Path]:
    if not paths:
        raise VecaError(f"there are no images in {folder} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return paths
