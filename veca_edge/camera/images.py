"""Image files as a source of frames."""

from __future__ import annotations

from pathlib import Path

from veca_edge.camera.frames import Frame, Notify, Source
from veca_edge.errors import VecaError, require
from veca_edge.image.skipping import Skipped
from veca_edge.image.stills import films_below, images_below, read_image

SLIDES_PER_SECOND = 2.0


class ImageSource(Source):
    """One image, or the images of a folder and its sub-folders in the order of their paths, half a second each.

    In a folder an image that cannot be read is skipped and named, and so are films; if no image can be read,
    reading fails. Of animated images and those with pages it is the first picture.
    """

    fps = SLIDES_PER_SECOND
    continuous = False

    def __init__(self, path: Path, *, loop: bool = False, notify: Notify | None = None) -> None:
        super().__init__(str(path), notify)
        require("cv2", "run")  # else every image of a folder would be skipped for the lack of it
        self._is_folder = path.is_dir()
        self._folder = path if self._is_folder else path.parent
        self._paths = images_below(path) if self._is_folder else [path]
        self._films = films_below(path) if self._is_folder else []
        self._skipped = Skipped(self.notify)
        self._loop = loop
        self._again = self._stopped = False
        self._next = 0
        self._index = 0
        self.frames_total = None if loop else len(self._paths)

    def read(self) -> Frame | None:
        while not self._stopped:
            if self._next >= len(self._paths):
                self._tell_skipped()
                if not self._index:
                    raise VecaError(f"none of the {len(self._paths)} images in {self.name} could be read")
                if not self._loop:
                    return None
                self._next = 0
                self._again = True
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
            if not self._again:
                self._skipped(error)
            return None
        frame = Frame(
            image, self._index, self._index / SLIDES_PER_SECOND, path.relative_to(self._folder).as_posix()
        )
        self._index += 1
        return frame

    def _tell_skipped(self) -> None:
        """At the end of the first pass: what else lies in the folder."""
        if self._again:
            return
        for film in self._films:
            self._skipped(f"{film} is a film: name it as the source")
        self._skipped.close()

    def stop(self) -> None:
        self._stopped = True
