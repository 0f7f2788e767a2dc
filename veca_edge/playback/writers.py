"""Pictures and videos that a run leaves behind. Each grows under another name and gets its own when complete."""

from __future__ import annotations

import math
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.arrays import Image
from veca_edge.errors import StreamError, VecaError
from veca_edge.files import check_target, shortened
from veca_edge.image.opencv import FORMAT, open_capture, quiet_opencv, text_name

# What OpenCV's wheels can encode everywhere; they carry no H.264 encoder. MPEG-4 Part 2 in .mp4 plays in
# VLC, QuickTime, Windows and ffmpeg, but not in browsers: for those there is VP8 in .webm.
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".webm": "VP80", ".mkv": "VP80", ".avi": "MJPG"}

EARLY = 0.1  # of a period that a picture may come before its time: time stamps are rounded
LONGEST_GAP = 10.0  # seconds between pictures that a video keeps; a longer one (a pause) becomes as long as this
SHORTEST, LONGEST = 64, 4096  # pixels of a saved video's sides; encoders and players differ beyond these


class PendingFile:
    """A name beside the target for a file in the making.

    Raises:
        VecaError: the folder is missing or not writable, or the target is a folder or a device.
    """

    def __init__(self, path: str | Path) -> None:
        self.target = check_target(path)
        # Encoders choose the container by the ending. The rest is random, not the process's number: in a container
        # numbers repeat, and what a killed run left behind would be in the way. It is not hidden, since that can be
        # played, unless it is an .mp4 or a .mov, whose index comes last.
        suffix = self.target.suffix if self.target.suffix.lower() in CODECS else ""
        self.path = self.target.with_name(f"{self.target.stem[:32]}.part-{secrets.token_hex(4)}{suffix}")
        try:
            self.path.open("xb").close()
        except OSError as error:
            raise VecaError(f"cannot write {shortened(Path(path))}: {error.strerror}") from None

    def check_room(self) -> None:
        """Raise a StreamError if nothing can be written to it, for an encoder that does not say why it failed."""
        try:
            self.path.write_bytes(bytes(4096))
        except OSError as error:
            raise StreamError(f"cannot write {shortened(self.target)}: {error.strerror}") from None

    def keep(self) -> None:
        """Give the file its real name; a StreamError if that fails."""
        try:
            check_target(self.target)
        except VecaError as error:
            self.discard()
            raise StreamError(str(error)) from None
        try:
            self.path.replace(self.target)
        except OSError as error:
            self.discard()
            raise StreamError(f"cannot write {shortened(self.target)}: {error.strerror}") from None

    def discard(self) -> None:
        """Remove what there is, if that can be done: the error that led here matters more."""
        with suppress(OSError):
            self.path.unlink()


class VideoWriter:
    """A video of frames: the format follows the file's ending (.mp4, .mov, .webm, .mkv, .avi).

    Use it in a `with` statement: however that ends, the frames written so far become a playable file, and
    without any frame there is no file.

    Args:
        path: where the video will be.
        fps: frames per second, above 0.
        size: (width, height) in pixels, None for `video_size` of the first picture; pictures of other
            sizes are fitted in with black borders.

    Raises:
        VecaError: a format or place that cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int] | None = None) -> None:
        quiet_opencv()
        check_video_path(path)
        if not (math.isfinite(fps) and fps > 0):
            raise VecaError(f"a video needs a frame rate above 0, got {fps}")
        self._file = PendingFile(path)
        self.path = self._file.target
        self.fps, self.size, self.frames = fps, size, 0
        self._start: float | None = None
        self._open = True
        self._encoder: Any = None

    def write(self, image: Image, time: float | None = None) -> None:
        """Add a picture (H, W, 3) uint8 RGB.

        Args:
            time: seconds on the source's clock. With it the picture is repeated or left out so that the
                video keeps the source's pace (up to `LONGEST_GAP`); without it each picture is one frame.
        """
        import cv2

        if not self._open:
            raise StreamError(f"{self.path} is closed")
        self.size = self.size or video_size(image.shape[1], image.shape[0])
        self._encoder = self._encoder or self._start_encoder(self.size)
        due = self.frames + 1 if time is None else self._due(time)
        if due <= self.frames:
            return
        picture = cv2.cvtColor(letterbox(image, self.size), cv2.COLOR_RGB2BGR)
        while self.frames < due:
            self._encoder.write(picture)
            self.frames += 1

    def _due(self, time: float) -> int:
        """How many frames there should be once the picture of this time is written."""
        written = self.frames / self.fps  # seconds
        if self._start is None or not -LONGEST_GAP <= time - self._start - written <= LONGEST_GAP:
            gap = 0.0 if self._start is None or time < self._start + written else LONGEST_GAP
            self._start = time - written - gap
        return math.floor((time - self._start) * self.fps + EARLY) + 1

    def _start_encoder(self, size: tuple[int, int]) -> Any:
        import cv2

        suffix = self.path.suffix.lower()
        codec = cv2.VideoWriter.fourcc(*CODECS[suffix])
        with text_name(str(self._file.path)) as name:
            encoder = cv2.VideoWriter(name, cv2.CAP_FFMPEG, codec, self.fps, size)
        if not encoder.isOpened():
            self._file.check_room()
            raise VecaError(f"this OpenCV cannot encode {suffix} at {size[0]}x{size[1]} pixels")
        return encoder

    def close(self) -> None:
        """Finish the file and give it its name; a StreamError if not all frames arrived in it."""
        if not self._open:
            return
        self._open = False
        if self._encoder is not None:
            self._encoder.release()
        if not self.frames:
            self._file.discard()
            return
        found = _frames_in(self._file.path)
        if found < self.frames:
            if not found:
                self._file.discard()
            rest = f"; they are in {shortened(self._file.path)}" if found else ""
            raise StreamError(
                f"{shortened(self.path)} was not written: {found} of {self.frames} frames arrived (is the disk "
                f"full?){rest}"
            )
        self._file.keep()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_video_path(path: str | Path) -> None:
    """Raise a VecaError unless the ending names a format that can be written."""
    if Path(path).suffix.lower() not in CODECS:
        raise VecaError(f"cannot write a video to {path}: the name must end in {', '.join(CODECS)}")


def save_png(path: Path, image: Image) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG file; a StreamError if that fails, and nothing left behind."""
    data = encode_png(image)
    file = PendingFile(path)
    try:
        file.path.write_bytes(data)
    except OSError as error:
        file.discard()
        raise StreamError(f"cannot write {shortened(path)}: {error.strerror}") from None
    file.keep()


def encode_png(image: Image) -> bytes:
    """(H, W, 3) uint8 RGB as the bytes of a PNG file."""
    import cv2

    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return bytes(data.tobytes())


def video_size(width: int, height: int) -> tuple[int, int]:
    """The (width, height) to save pictures of this size at: theirs, unless it is very small or very long.

    The result keeps the aspect, up to black borders where one side would be below SHORTEST.
    """
    longest = max(width, height)
    scale = LONGEST / longest
    if scale >= 1:
        scale = min(math.ceil(SHORTEST / min(width, height)), LONGEST // longest)  # whole: stays crisp
    return max(SHORTEST, round(width * scale)), max(SHORTEST, round(height * scale))


def letterbox(image: Image, size: tuple[int, int]) -> Image:
    """The whole image centred on black, `size` = (width, height) pixels."""
    import cv2

    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    inner_w, inner_h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - inner_w) // 2, (height - inner_h) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    inner = cv2.resize(image, (inner_w, inner_h), interpolation=method)
    canvas[top : top + inner_h, left : left + inner_w] = inner
    return canvas


def _frames_in(path: Path) -> int:
    """How many frames a finished video holds: OpenCV's encoder itself reports no failure.

    They are counted and not decoded. What a container states is not enough: some state what was meant to be there.
    """
    capture: Any = open_capture(str(path))
    try:
        if not capture.isOpened() or not capture.set(FORMAT, -1):  # packets as they are
            return 0
        count = 0
        while capture.grab():
            count += 1
        return count
    finally:
        capture.release()
