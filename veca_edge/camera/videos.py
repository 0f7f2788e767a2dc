"""Video files and cameras as sources of frames, each read in a thread of its own."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

from veca_edge.camera.frames import Frame, Notify, Source
from veca_edge.camera.mailbox import Mailbox
from veca_edge.errors import StreamError, VecaError
from veca_edge.image.captures import frame_rate
from veca_edge.image.opencv import (
    FRAME_COUNT,
    HEIGHT,
    POSITION_MS,
    WIDTH,
    Capture,
    CaptureFactory,
    check_pixels,
    to_rgb,
)

READ_AHEAD = 4  # frames decoded ahead of the model, from a file
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 2.0  # seconds between attempts to reach a camera
CLOSE_WAIT = 2.0  # seconds; a driver that hangs is left behind in its daemon thread


class ThreadedSource(Source):
    """Reads a capture in a thread, from the first `read` on, so that nothing grows stale before."""

    def __init__(
        self, spec: str | int, name: str, factory: CaptureFactory, newest_only: bool, notify: Notify | None
    ) -> None:
        super().__init__(name, notify)
        self._spec = spec
        self._factory = factory
        self._mailbox: Mailbox[Frame] = Mailbox(1 if newest_only else READ_AHEAD, newest_only)
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        # Until Python 3.13 a thread whose `join` Ctrl-C interrupts counts as ended; and one that is still in the
        # decoder when Python ends takes the process down with it.
        self._ended = threading.Event()
        self._capture = factory(spec)
        if not self._capture.isOpened():
            self._capture.release()
            raise VecaError(self._unopened())
        try:
            check_pixels(name, self._capture.get(WIDTH), self._capture.get(HEIGHT))
        except VecaError:
            self._capture.release()
            raise
        self.fps = frame_rate(self._capture)

    @abstractmethod
    def _unopened(self) -> str:
        """The message for a capture that does not open."""

    @abstractmethod
    def _produce(self) -> None:
        """Put frames until the end; runs in the thread."""

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    def read(self) -> Frame | None:
        if self._thread is None and not self._mailbox.closed:
            self._thread = threading.Thread(target=self._run, name="veca-capture", daemon=True)
            self._thread.start()
        return self._mailbox.take()

    def stop(self) -> None:
        self._mailbox.close()

    def close(self) -> None:
        self.stop()
        self._halt.set()
        if self._thread is None:
            self._capture.release()
        else:
            self._ended.wait(CLOSE_WAIT)

    def _run(self) -> None:
        """The thread owns the capture: releasing it elsewhere while it reads would crash the process."""
        failure: Exception | None = None
        try:
            self._produce()
        except VecaError as error:
            failure = error
        except Exception as error:  # the decoder's own errors, which must not vanish with the thread
            # The decoder knows the address as it was given, with its password.
            reason = " ".join(str(error).replace(str(self._spec), self.name).split()) or type(error).__name__
            failure = StreamError(f"reading {self.name} failed: {reason}")
        finally:
            self._capture.release()
            self._mailbox.finish(failure)
            self._ended.set()

    def _grab(self, capture: Capture) -> tuple[bool, Frame | None]:
        """Read one picture; (went well, frame without its number and time)."""
        good, picture = capture.read()
        if not good or picture is None:
            return False, None
        check_pixels(self.name, picture.shape[1], picture.shape[0])  # what a stream says may change on the way
        return True, Frame(to_rgb(picture), 0, 0.0, self.name)


class VideoSource(ThreadedSource):
    """Every frame of a video file, in order; a damaged file plays as far as it decodes and says so."""

    def __init__(
        self,
        spec: str,
        name: str,
        factory: CaptureFactory,
        *,
        loop: bool = False,
        notify: Notify | None = None,
    ) -> None:
        super().__init__(spec, name, factory, False, notify)
        self._loop = loop
        count = self._capture.get(FRAME_COUNT)
        self._expected = int(count) if 0 < count < 1e9 else None
        self.frames_total = None if loop else self._expected

    def _unopened(self) -> str:
        return f"cannot read {self.name}: it is not an image or a video, of an unknown kind, or damaged"

    def _produce(self) -> None:
        index = self._play(0)
        if not index and not self._mailbox.closed:
            raise VecaError(f"no frame of {self.name} could be decoded: check that it is a video and not damaged")
        self._compare(index)
        while self._loop and not self._mailbox.closed:
            self._capture.release()
            self._capture = self._factory(self._spec)
            following = self._play(index)
            if following == index:
                break
            index = following

    def _play(self, index: int) -> int:
        """Put all frames of one pass, numbered from `index`; returns the next number."""
        period = 1 / (self.fps or 30.0)
        start, last = index * period, -1.0
        while not self._mailbox.closed:
            good, frame = self._grab(self._capture)
            if not good or frame is None:
                break
            position = self._capture.get(POSITION_MS) / 1000
            # Some containers carry no time stamps: then frames are taken as equally far apart.
            last = position if position > last else last + period if last >= 0 else 0.0
            if not self._mailbox.put(Frame(frame.image, index, start + last, self.name)):
                break
            index += 1
        return index

    def _compare(self, decoded: int) -> None:
        """Tell of missing frames; the count may be an estimate from the duration, hence the margin."""
        if self._expected is None or self._mailbox.closed:
            return
        if self._expected - decoded > max(1, self._expected // 100):
            self.notify(f"{self.name} is damaged: {decoded} of {self._expected} frames could be decoded")


class LiveSource(ThreadedSource):
    """The newest frame of a camera or network stream; frames that come while none is asked for are dropped.

    When frames stop coming it tries again with growing pauses, and fails after `retry` seconds.

    Args:
        ends: the stream may end by itself (a file played like a camera), which is not a failure.
    """

    live = True

    def __init__(
        self,
        spec: str | int,
        name: str,
        factory: CaptureFactory,
        *,
        retry: float = 10.0,
        ends: bool = False,
        notify: Notify | None = None,
    ) -> None:
        super().__init__(spec, name, factory, True, notify)
        self._retry = retry
        self._ends = ends

    def _unopened(self) -> str:
        camera = isinstance(self._spec, int)
        hint = "plugged in, not in use, and allowed" if camera else "reachable"
        return f"cannot open {self.name}: check that it is {hint}"

    def _produce(self) -> None:
        index = 0
        while not self._mailbox.closed:
            good, frame = self._grab(self._capture)
            if not good and self._ends:
                return
            if frame is None:
                frame = self._reconnect()
                if frame is None:
                    return
            self._mailbox.put(Frame(frame.image, index, time.monotonic(), self.name))
            index += 1

    def _reconnect(self) -> Frame | None:
        """Wait for the camera to deliver again: its first frame, or None if stopped meanwhile."""
        lost = time.monotonic()
        deadline, pause = lost + self._retry, FIRST_BACKOFF
        self.notify(f"{self.name} stopped sending frames; trying again for {self._retry:g} s")
        while time.monotonic() + pause <= deadline and not self._halt.wait(pause):
            if self._mailbox.closed:
                return None
            self._capture.release()
            self._capture = self._factory(self._spec)
            if self._capture.isOpened():
                _, frame = self._grab(self._capture)
                if frame is not None:
                    self.notify(f"{self.name} sends frames again after {time.monotonic() - lost:.1f} s")
                    return frame
            pause = min(pause * 2, LONGEST_BACKOFF, max(FIRST_BACKOFF, deadline - time.monotonic()))
        if self._halt.is_set() or self._mailbox.closed:
            return None
        raise StreamError(
            f"{self.name} stopped and did not come back within {self._retry:g} s: check it, or raise --retry"
        )
