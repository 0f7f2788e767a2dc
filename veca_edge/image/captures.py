"""Captures around a capture: at a camera's pace, with a rate that can be believed, and of animated images."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.image.headers import image_size, is_animated, is_torn, white
from veca_edge.image.opencv import (
    FPS,
    FRAME_COUNT,
    HEIGHT,
    MAX_PIXELS,
    POSITION_MS,
    WIDTH,
    Capture,
    full_range,
    quiet_opencv,
)
from veca_edge.image.stills import read_whole

LOWEST, HIGHEST = 1.0, 240.0  # frames per second that are believed without looking at time stamps
SLOWEST, FASTEST = 1 / 3600, 1000.0  # frames per second that time stamps may tell
MEASURED = 30  # frames whose time stamps tell the rate
HELD = 64_000_000  # bytes of frames that are decoded for that
AT_ONCE = MAX_PIXELS // 2  # pixels of an animation that are decoded together
TOO_SHORT, INSTEAD = 10.0, 100.0  # ms: what animations say that want to be "fast", and what browsers make of it


def frame_rate(capture: Capture) -> float | None:
    """Frames per second as the device or container says, None when it does not say anything sensible."""
    fps = capture.get(FPS)
    return float(fps) if LOWEST <= fps <= HIGHEST else None


class TimedCapture:
    """A film whose rate is taken from its time stamps where the stated one is absurd.

    Films from browsers state 1000 frames per second (their clock's ticks), others 0, 90000 or no number. Then their
    count of frames, which is the length times that rate, is unknown. Time stamps that are absurd as well are 0.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._ahead: deque[tuple[bool, Any, float]] = deque()
        self._position: float | None = None
        self._failure: Exception | None = None
        self._rate = frame_rate(capture)
        self._stated, self._stamped = self._rate is not None, True
        if self._rate is None and capture.isOpened():
            self._rate = self._measured()

    def _measured(self) -> float | None:
        held = 0
        while len(self._ahead) < MEASURED and held < HELD:
            try:
                good, picture = self._capture.read()
            except Exception as error:  # told to whom reads that frame
                self._failure = error
                break
            if not good or picture is None:
                break
            held += picture.nbytes
            self._ahead.append((good, picture, self._capture.get(POSITION_MS)))
        rate = _rate_of([stamp for _, _, stamp in self._ahead])
        self._stamped = rate is None or SLOWEST <= rate <= FASTEST * 1.001
        return rate if self._stamped else None

    def isOpened(self) -> bool:  # noqa: N802
        return self._capture.isOpened()

    def read(self) -> tuple[bool, Any]:
        if self._ahead:
            good, picture, self._position = self._ahead.popleft()
            return good, picture
        if self._failure is not None:
            raise self._failure
        self._position = None
        return self._capture.read()

    def get(self, property_id: int) -> float:
        if property_id == FPS:
            return self._rate or 0.0
        if property_id == FRAME_COUNT and not self._stated:
            return 0.0
        if property_id == POSITION_MS and not self._stamped:
            return 0.0
        if property_id == POSITION_MS and self._position is not None:
            return self._position
        return self._capture.get(property_id)

    def release(self) -> None:
        self._ahead.clear()
        self._capture.release()


def _rate_of(stamps: list[float]) -> float | None:
    """Frames per second from time stamps in ms, None without any; pauses between frames are left out."""
    steps = [step for step in np.diff(stamps) if step > 0]
    if not steps:
        return None
    usual = float(np.median(steps))
    return 1000 / float(np.mean([step for step in steps if step < 4 * usual]))


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


class AnimationCapture:
    """An animated GIF, PNG, WebP or AVIF as a film; of a longer one only a part is decoded at a time.

    Raises:
        VecaError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        quiet_opencv()
        self._data: Any = np.frombuffer(read_whole(path), np.uint8)[None]
        self._size = image_size(self._data.tobytes()) or (0, 0)
        self._white = white(self._data.tobytes())
        self._many = max(2, AT_ONCE // max(1, self._size[0] * self._size[1]))
        self._frames: deque[tuple[Any, float]] = deque()
        self._decoded = 0
        self._position = self._end = 0.0
        self._fill()
        lengths = [length for _, length in self._frames]
        self._fps = 1000 * len(lengths) / sum(lengths) if lengths else 0.0

    def _fill(self) -> None:
        import cv2

        try:
            _, part = cv2.imdecodeanimation(self._data, self._decoded, self._many)
        except cv2.error:
            return
        lengths = (float(ms) if ms > TOO_SHORT else INSTEAD for ms in part.durations)
        self._frames.extend(zip(part.frames, lengths, strict=False))
        self._decoded += len(self._frames)

    def isOpened(self) -> bool:  # noqa: N802
        return len(self._frames) > 1 or self._decoded > 1

    def read(self) -> tuple[bool, Any]:
        if not self._frames and self._decoded % self._many == 0:
            self._fill()
        if not self._frames:
            return False, None
        picture, length = self._frames.popleft()
        self._position, self._end = self._end, self._end + length
        return True, full_range(picture, self._white)

    def get(self, property_id: int) -> float:
        known = {FPS: self._fps, POSITION_MS: self._position, WIDTH: self._size[0], HEIGHT: self._size[1]}
        return float(known.get(property_id, 0))

    def release(self) -> None:
        self._frames.clear()
        self._data = np.empty((1, 0), np.uint8)


def opened_animation(path: Path) -> AnimationCapture | None:
    """An image as a film, if it holds more than one picture and is not too large."""
    data = read_whole(path)
    size = image_size(data)
    if size is None or size[0] * size[1] > MAX_PIXELS or not is_animated(data) or is_torn(data):
        return None
    capture = AnimationCapture(path)
    return capture if capture.isOpened() else None
