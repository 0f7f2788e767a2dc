"""A frame, and what every source of frames has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from veca_edge.arrays import Image

Notify = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a stream.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        index: counts from 0; a live source counts the frames it dropped too.
        time: seconds; position in the file, or for a live source the monotonic clock at capture.
        name: the source, or for a folder of images the file's name.
    """

    image: Image
    index: int
    time: float
    name: str


class Source(ABC):
    """An iterator over frames that holds a device or a file; close it, or use it in a `with` statement.

    Attributes:
        name: what is being read, for messages.
        live: True if frames come whether or not anyone takes them.
        continuous: whether frames follow each other as in a film; False for separate images.
        frames_total: how many frames will come, as far as the file tells; None if unknown or endless.
        fps: frames per second, None if unknown.
        messages: what happened on the way (a skipped file, a camera that came back), one line each.
    """

    live: bool = False
    continuous: bool = True
    frames_total: int | None = None
    fps: float | None = None

    def __init__(self, name: str, notify: Notify | None = None) -> None:
        self.name = name
        self.messages: list[str] = []
        self._callback = notify

    @property
    def dropped(self) -> int:
        """Frames of a live source that nobody took in time."""
        return 0

    def notify(self, message: str) -> None:
        """Record a message and pass it to the callback, possibly from the capture thread."""
        self.messages.append(message)
        if self._callback is not None:
            self._callback(message)

    @abstractmethod
    def read(self) -> Frame | None:
        """The next frame, waiting for it; None at the end or once stopped.

        Raises:
            StreamError: a live source went away.
            VecaError: nothing in a file could be decoded.
        """

    @abstractmethod
    def stop(self) -> None:
        """Make `read` return None soon. Safe in a signal handler."""

    def close(self) -> None:
        """Stop and let go of the device or file."""
        self.stop()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame = self.read()
        if frame is None:
            raise StopIteration
        return frame

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
