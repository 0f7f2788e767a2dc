"""Image files as a source of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.camera.frames import Frame, Notify, Source
from veca_edge.errors import VecaError
from veca_edge.image.headers import IMAGE_SUFFIXES, image_size
from veca_edge.image.opencv import check_pixels, quiet_opencv, to_rgb

SLIDES_PER_SECOND = 2.0


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB from a JPEG, PNG, WebP, BMP or TIFF file, turned upright as its EXIF data says.

    Raises:
        VecaError: the file cannot be read, is no such image, is damaged, or has over 100 megapixels.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VecaError(f"cannot read {path}: {error.strerror}") from None
    size = image_size(data)
    if size is None:
        raise VecaError(f"{path} is not an image that can be read (JPEG, PNG, WebP, BMP or TIFF)")
    check_pixels(str(path), *size)
    quiet_opencv()
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise VecaError(f"{path} is {_fault(data)}")
    return to_rgb(image)


def _fault(data: bytes) -> str:
    """What is wrong with an image that does not decode: a TIFF may be sound but hold floats."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return "damaged or of a kind that is not supported (8 or 16 bits per channel)"
    return "damaged: it could not be decoded"


def images_in(folder: Path) -> list[Path]:
    """The image files directly inside a folder, by name; a VecaError if there are none."""
    try:
        entries = [path for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError as error:
        raise VecaError(f"cannot read {folder}: {error.strerror}") from None
    # Names with a leading dot are leftovers of file managers ("._photo.jpg"), not pictures.
    paths = [path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    if not paths:
        raise VecaError(f"no images in {folder} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return paths


class ImageSource(Source):
    """One image, or the images of a folder in the order of their names, half a second each.

    In a folder an image that cannot be read is skipped and named; if none can be read, reading fails.
    """

    fps = SLIDES_PER_SECOND

    def __init__(self, path: Path, *, loop: bool = False, notify: Notify | None = None) -> None:
        super().__init__(str(path), notify)
        self._is_folder = path.is_dir()
        self._paths = images_in(path) if self._is_folder else [path]
        self._loop = loop
        self._stopped = False
        self._next = 0
        self._index = 0
        self.frames_total = None if loop else len(self._paths)

    def read(self) -> Frame | None:
        while not self._stopped:
            if self._next >= len(self._paths):
                if not self._index:
                    raise VecaError(f"none of the {len(self._paths)} images in {self.name} could be read")
                if not self._loop:
                    return None
                self._next = 0
            frame = self._load(self._paths[self._next])
            self._next += 1
            if frame is not None:
                return frame
        return None

    def _load(self, path: Path) -> Frame | None:
        try:
            image = read_image(path)
        except VecaError as error:
            if not self._is_folder:
                raise
            self.notify(f"skipped: {error}")
            return None
        frame = Frame(image, self._index, self._index / SLIDES_PER_SECOND, path.name)
        self._index += 1
        return frame

    def stop(self) -> None:
        self._stopped = True
