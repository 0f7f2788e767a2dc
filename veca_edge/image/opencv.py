"""OpenCV's cameras and decoders, kept behind a small protocol so that tests can stand in for them."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.encoding import printable
from veca_edge.errors import VecaError, require
from veca_edge.image.formats import DEMUXERS

MAX_PIXELS = 100_000_000
NETWORK_TIMEOUT_MS = 5000
BACKGROUND = 255  # what shows through transparent pixels: white
STRIP = 2**20  # pixels that are blended at once

# Numbers of OpenCV's capture properties; they are part of its stable interface.
POSITION_MS, WIDTH, HEIGHT, FPS, FRAME_COUNT, FORMAT, TURN = 0, 3, 4, 5, 7, 8, 49

# What ffmpeg may open. The environment is the only way to tell it, and read whenever a video is opened.
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
OPENCVS_OWN = "rtsp_flags;prefer_tcp"  # what OpenCV sets where the variable is missing
LOCAL = f"protocol_whitelist;file|format_whitelist;{DEMUXERS}"
# A stream may name others to go on with, but no file of this machine.
NETWORK = (
    "protocol_whitelist;http,https,httpproxy,tls,tcp,udp,rtp,srtp,rtsp,rtmp,rtmps,rtmpt,ffrtmphttp,crypto,data"
)
_OPENING = threading.Lock()


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
    # Headers can lie, and OpenCV looks at what its decoders found; it reads this when it is first imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
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
        with _ffmpeg_may(NETWORK):
            return _upright(cv2.VideoCapture(printable(spec), cv2.CAP_FFMPEG, limits))
    if Path(spec).is_char_device():
        return cv2.VideoCapture(spec)
    # Only ffmpeg: other backends take digits in a file name for a numbered sequence of images.
    with _ffmpeg_may(LOCAL), text_name(spec) as name:
        return _upright(cv2.VideoCapture(name, cv2.CAP_FFMPEG))


@contextmanager
def text_name(path: str) -> Iterator[str]:
    """A name for a file that is opened meanwhile: of bytes that are no text OpenCV dies, so there it is a link.

    Raises:
        VecaError: there is no place for a link.
    """
    if path == printable(path):
        yield path
        return
    try:
        with tempfile.TemporaryDirectory() as folder:
            suffix = Path(path).suffix
            link = Path(folder) / f"link{suffix if suffix.isascii() else ''}"
            link.symlink_to(Path(path).absolute())
            yield str(link)
    except OSError as error:
        raise VecaError(f"{path}: give it a name that is text ({error.strerror or error})") from None


def _upright(capture: Any) -> Capture:
    """Let it turn frames as the file says: not every version of OpenCV does so by itself."""
    capture.set(TURN, 1)
    opened: Capture = capture
    return opened


@contextmanager
def _ffmpeg_may(options: str) -> Iterator[None]:
    """What is opened meanwhile has these options, after those of the user."""
    with _OPENING:
        before = os.environ.get(OPTIONS)
        os.environ[OPTIONS] = f"{before or OPENCVS_OWN}|{options}"
        try:
            yield
        finally:
            if before is None:
                del os.environ[OPTIONS]
            else:
                os.environ[OPTIONS] = before


def check_pixels(name: str, width: float, height: float) -> None:
    """Refuse pictures so large that decoding them could use up the memory."""
    if width * height > MAX_PIXELS:
        raise VecaError(
            f"{name} is {int(width)}x{int(height)} pixels: use at most {MAX_PIXELS // 1_000_000} megapixels"
        )


def full_range(image: NDArray[Any], white: int | None) -> NDArray[Any]:
    """A decoder's picture in which `white` becomes the largest number of its type; None leaves it alone."""
    if white is None:
        return image
    import cv2

    # A sum of one picture: it rounds and saturates, and keeps the type.
    stretched: NDArray[Any] = cv2.addWeighted(image, np.iinfo(image.dtype).max / white, image, 0, 0)
    return stretched


def to_rgb(image: Any, *, premultiplied: bool = False) -> Image:
    """A decoder's picture as (H, W, 3) uint8 RGB, on white where it is transparent.

    What colour lies under transparent pixels is chance: it depends on the program that wrote the file.

    Args:
        image: (H, W), (H, W, 1), BGR or BGRA; uint8 or uint16.
        premultiplied: the colours are already multiplied with alpha.
    """
    import cv2

    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 4:
        return _blended(image, premultiplied)
    rgb: Image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB)
    return rgb


def _blended(image: Any, premultiplied: bool) -> Image:
    """BGRA on white as RGB, a few rows at a time: the intermediate numbers take more memory than the picture."""
    rgb = np.ascontiguousarray(image[..., 2::-1])
    rows = max(1, STRIP // image.shape[1])
    for top in range(0, len(rgb), rows):
        alpha = image[top : top + rows, :, 3:].astype(np.uint16)
        part = rgb[top : top + rows]
        if not (alpha < 255).any():
            continue
        colour = part.astype(np.uint16) * (255 if premultiplied else alpha)
        part[...] = (np.minimum(colour, 255 * alpha) + BACKGROUND * (255 - alpha) + 127) // 255
    return rgb
