"""OpenCV's cameras and decoders, kept behind a small protocol so that tests can stand in for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require

MAX_PIXELS = 100_000_000
NETWORK_TIMEOUT_MS = 5000

# Numbers of OpenCV's capture properties; they are part of its stable interface.
POSITION_MS, WIDTH, HEIGHT, FPS, FRAME_COUNT = 0, 3, 4, 5, 7


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802

    def read(self) -> tuple[bool, Any]: ...

    def get(self, property_id: int) -> float: ...

    def release(self) -> None: ...


CaptureFactory = Callable[[str | int], Capture]


def quiet_opencv() -> None:
    """Keep OpenCV and its ffmpeg from writing to stderr: what matters is reported by this package."""
    require("cv2", "run")
    # ffmpeg's level is read from the environment when OpenCV first opens a video; -8 is "quiet".
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    import cv2

    # OpenCV 4 and 5 keep this function in different places; 0 is "silent".
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    set_level(0)


def open_capture(spec: str | int) -> Capture:
    """Open a camera index, a video file's path, or a URL with OpenCV.

    The result may not be open: ask its `isOpened`.
    """
    quiet_opencv()
    import cv2

    if isinstance(spec, int):
        return cv2.VideoCapture(spec)
    if "://" in spec:
        # Without these a camera that does not answer blocks for half a minute.
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            NETWORK_TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            NETWORK_TIMEOUT_MS,
        ]
        return cv2.VideoCapture(spec, cv2.CAP_FFMPEG, limits)
    if Path(spec).is_char_device():
        return cv2.VideoCapture(spec)
    # Only ffmpeg: other backends take digits in a file name for a numbered sequence of images.
    return cv2.VideoCapture(spec, cv2.CAP_FFMPEG)


class PacedCapture:
    """A video file that gives its frames no faster than a camera would."""

    def __init__(self, capture: Capture, clock: Callable[[], float] = time.monotonic) -> None:
        self._capture = capture
        self._clock = clock
        self._period = 1 / (frame_rate(capture) or 30.0)
        self._due = clock()

    def isOpened(self) -> bool:  # noqa: N802
        return self._capture.isOpened()

    def read(self) -> tuple[bool, Any]:
        time.sleep(max(0.0, self._due - self._clock()))
        self._due = max(self._due + self._period, self._clock())
        return self._capture.read()

    def get(self, property_id: int) -> float:
        return self._capture.get(property_id)

    def release(self) -> None:
        self._capture.release()


def frame_rate(capture: Capture) -> float | None:
    """Frames per second as the device or container says, None when it does not say anything sensible."""
    fps = capture.get(FPS)
    return float(fps) if 0 < fps <= 1000 else None


def check_pixels(name: str, width: float, height: float) -> None:
    """Refuse pictures so large that decoding them could use up the memory."""
    if width * height > MAX_PIXELS:
        raise VecaError(
            f"{name} is {int(width)}x{int(height)} pixels: use at most {MAX_PIXELS // 1_000_000} megapixels"
        )


def to_rgb(image: Any) -> Image:
    """A decoder's picture ((H, W), (H, W, 1), BGR or BGRA, uint8) as (H, W, 3) uint8 RGB."""
    import cv2

    codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    channels = 1 if image.ndim == 2 else image.shape[2]
    rgb: Image = cv2.cvtColor(image, codes[channels])
    return rgb
