"""Open a camera, a video, images or a network stream as frames."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from veca_edge.camera.addresses import masked
from veca_edge.camera.frames import Frame, Notify, Source
from veca_edge.camera.images import ImageSource
from veca_edge.camera.videos import LiveSource, VideoSource
from veca_edge.errors import VecaError, shown
from veca_edge.files import existing, expanded, is_package, is_regular, is_there, shortened
from veca_edge.image.captures import AnimationCapture, PacedCapture, TimedCapture, opened_animation
from veca_edge.image.formats import JPEG, READ, SNIFF, Format, recognised
from veca_edge.image.headers import is_jpeg_film
from veca_edge.image.opencv import Capture, CaptureFactory, open_capture
from veca_edge.numbers import finite

__all__ = ["Frame", "Source", "open_source"]

SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
FIRST_JPEGS = 2**25  # bytes within which a film of JPEG images shows its second one
LAST_CAMERA = 2**31 - 1  # OpenCV takes a C int


def open_source(
    spec: str | int | Path,
    *,
    live: bool | None = None,
    retry: float = 10.0,
    loop: bool = False,
    notify: Notify | None = None,
    capture: CaptureFactory = open_capture,
) -> Source:
    """Open a stream of frames.

    Args:
        spec: a camera's index (0, "0") or device file, a video or image file, a folder of images (and
            its sub-folders), or a URL (rtsp, rtmp, http, udp, tcp).
        live: hand out only the newest frame. Default: True for cameras and URLs, False for files and for URLs
            that end like a video file. With True a video file plays like a camera, at its own pace.
        retry: seconds to wait for a live source that went away, 0 for not at all.
        loop: start files over at their end.
        notify: called with one line for each thing worth telling, possibly from the capture thread.
        capture: opens what OpenCV would; stands in for it in tests.

    Raises:
        VecaError: there is no such file, folder or camera, it is not an image or a video, or an impossible
            argument.
    """
    _check_options(live, retry, loop, notify)
    if isinstance(spec, bool) or not isinstance(spec, (str, int, Path, np.integer)):
        raise VecaError(f"cannot open a {type(spec).__name__}: give a path, an address or a camera's index")
    if spec == "":
        raise VecaError("the source has an empty name: give a path, an address or a camera's index")
    if isinstance(spec, np.integer):
        spec = int(spec)
    if isinstance(spec, Path):
        return _open_path(expanded(str(spec)), live, retry, loop, notify, capture)
    if isinstance(spec, str) and _is_index(spec):
        spec = int(spec) if len(spec) < 20 else LAST_CAMERA + 1  # int() refuses thousands of digits
    if isinstance(spec, int):
        if not 0 <= spec <= LAST_CAMERA:
            raise VecaError(f"there is no camera {shown(spec)}: use an index from 0 to {LAST_CAMERA}")
        return LiveSource(spec, f"camera {spec}", capture, retry=retry, notify=notify)
    if "://" in spec:
        return _open_url(spec, live, retry, loop, notify, capture)
    return _open_path(expanded(spec), live, retry, loop, notify, capture)


def _check_options(live: object, retry: object, loop: object, notify: object) -> None:
    if not isinstance(live, (bool, type(None))):
        raise VecaError(f"live {shown(live)}: use True, False, or None to decide by the source")
    if finite(retry, 0) is None:
        raise VecaError(f"retry {shown(retry)}: use 0 or more seconds")
    if not isinstance(loop, bool):
        raise VecaError(f"loop {shown(loop)}: use True or False")
    if notify is not None and not callable(notify):
        raise VecaError(f"notify {shown(notify)}: use a function that takes a line, or None")


def check_there(spec: str) -> None:
    """Raise a VecaError if `spec` names a file or folder, and there is none. Needs no OpenCV."""
    if spec and not _is_index(spec) and "://" not in spec:
        _there(expanded(spec))


def _is_index(spec: str) -> bool:
    return spec.isascii() and spec.isdigit()


def _there(path: Path) -> Path:
    return existing(path, name=masked(shortened(path)))


def looks_like_source(path: Path) -> bool:
    """Whether a path names pictures rather than a model: an image, a video, or a folder that is no package."""
    if not is_there(path):
        return False
    if path.is_dir():
        return not is_package(path)
    if not is_regular(path):
        return path.is_char_device()
    return recognised(_first_bytes(path)) is not None


def _open_url(
    url: str, live: bool | None, retry: float, loop: bool, notify: Notify | None, capture: CaptureFactory
) -> Source:
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may hold the password
        raise VecaError("the source is not a valid URL: check its brackets and special characters") from None
    if parts.scheme.lower() not in SCHEMES:
        raise VecaError(f"cannot read {parts.scheme}:// addresses: use {', '.join(SCHEMES)}")
    name = masked(url)
    if live is None:
        live = not parts.path.lower().endswith(VIDEO_SUFFIXES)
    if live:
        return LiveSource(url, name, capture, retry=retry, notify=notify)
    return VideoSource(url, name, _timed(capture), loop=loop, notify=notify)


def _open_path(
    path: Path,
    live: bool | None,
    retry: float,
    loop: bool,
    notify: Notify | None,
    capture: CaptureFactory,
) -> Source:
    if _there(path).is_char_device():
        return LiveSource(str(path), str(path), capture, retry=retry, notify=notify)
    if path.is_dir():
        return ImageSource(path, loop=loop, notify=notify)
    if not is_regular(path):  # opening a FIFO would wait for someone to write to it
        raise VecaError(f"cannot read {path}: it is not a file, a folder or a camera")
    found = _format(path)
    if found is not None:
        found.check(shortened(path))
        if found.kind == "image":
            if not opened_animation(path):
                return ImageSource(path, loop=loop, notify=notify)
            capture = _animation
    absolute = str(path.resolve())  # a colon in a relative name would read as a protocol
    capture = _timed(capture)
    if live:
        return LiveSource(absolute, str(path), _paced(capture), retry=retry, ends=True, notify=notify)
    return VideoSource(absolute, str(path), capture, loop=loop, notify=notify)


def _format(path: Path) -> Format | None:
    """What a file is; None for a film of an unknown kind, or a film of JPEG images."""
    start = _first_bytes(path)
    found = recognised(start)
    if found is None and b"\0" not in start:  # text: a film of letters to some decoders, to others a list of files
        raise VecaError(f"cannot read {shortened(path)}: it is not a video, nor {READ}")
    return None if found == JPEG and is_jpeg_film(_first_bytes(path, FIRST_JPEGS)) else found


def _first_bytes(path: Path, count: int = SNIFF) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise VecaError(f"cannot read {shortened(path)}: {error.strerror}") from None


def _timed(factory: CaptureFactory) -> CaptureFactory:
    return lambda spec: TimedCapture(factory(spec))


def _paced(factory: CaptureFactory) -> CaptureFactory:
    return lambda spec: PacedCapture(factory(spec))


def _animation(spec: str | int) -> Capture:
    return AnimationCapture(Path(str(spec)))
