"""Signs of life from long work, whether or not it reports anything meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Timer
from time import perf_counter
from types import TracebackType

INTERVAL = 10.0  # seconds: the longest silence


class Reminder:
    """Follows the stages of long work, and reminds of the one in work at intervals, from a thread of its own.

    Use it in a `with` statement, or `end` it: a stage that was left by an error would be reminded of forever.

    Args:
        remind: called with the stage, how much of it is done (0..1), and the seconds since it began.
        interval: seconds of silence before that, over 0; None never to remind.

    Attributes:
        seconds: from the begin of the stage that was reported last to that report.
    """

    def __init__(self, remind: Callable[[str, float, float], object], interval: float | None = INTERVAL) -> None:
        self._remind, self._interval = remind, interval
        self._lock, self._timer = Lock(), Timer(0, lambda: None)
        self._stage, self._done, self._start, self._said = "", 0.0, 0.0, perf_counter()
        self.seconds = 0.0

    def __call__(self, stage: str, done: float) -> None:
        """Report that `done` (0..1) of a stage is done."""
        with self._lock:
            if stage != self._stage:
                self._stage, self._start = stage, perf_counter()
                self._arm()
            self._done, self.seconds = done, perf_counter() - self._start
            if done >= 1:
                self._rest()

    def said(self) -> None:
        """Report that something else has been said just now."""
        self._said = perf_counter()

    def end(self) -> None:
        """Remind no more."""
        with self._lock:
            self._rest()

    def __enter__(self) -> Reminder:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.end()

    def _rest(self) -> None:
        self._stage = ""
        self._timer.cancel()

    def _arm(self) -> None:
        self._timer.cancel()
        if self._interval is not None:
            self._timer = Timer(max(0.0, self._said + self._interval - perf_counter()), self._tell)
            self._timer.daemon = True
            self._timer.start()

    def _tell(self) -> None:
        with self._lock:
            if self._stage:
                self._remind(self._stage, self._done, perf_counter() - self._start)
                self.said()
                self._arm()
