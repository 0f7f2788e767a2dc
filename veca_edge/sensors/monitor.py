"""Looks at the sensors about once a second, off the frames' path."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from veca_edge.sensors.plausible import PlausibilityFilter
from veca_edge.sensors.reading import Reader, Reading, merge
from veca_edge.sensors.state import DeviceState

INTERVAL = 1.0  # seconds between two reads
STALE = 5.0  # seconds past its next read after which a reader counts as hung and its values as unknown
BACK_OFF = 30.0  # seconds: the longest pause after repeated failures

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """A state, and per field what it is made of (fields that no reader offers are absent)."""

    state: DeviceState
    sensed: Reading


class Monitor:
    """Polls readers in daemon threads, one each, so that one that hangs holds up no other.

    A reader that raises, hangs or gives nonsense counts as unknown, with one warning for each of the three; when it
    works again, it is used again.

    Args:
        readers: best first, see `merge`; `detect()` chooses those of this device.
        interval: seconds between two reads, above 0; readers may ask for more.
        clock: seconds that never go back; the states' `time`.
        notify: takes warnings, from any thread; the log of this module if not given.
    """

    def __init__(
        self,
        readers: Iterable[Reader],
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        if not 0 < interval < float("inf"):
            raise ValueError(f"interval {interval}: use seconds above 0")
        self._clock = clock
        self._slots = [_Slot(reader, interval, clock, notify or _log.warning) for reader in readers]
        self._stop: threading.Event | None = None

    def start(self) -> None:
        """Begin to poll; nothing happens if it already does."""
        if self._stop is None:
            self._stop = threading.Event()
            for slot in self._slots:
                slot.start(self._stop)

    def stop(self) -> None:
        """End polling. A reader that hangs is left to itself: its thread ends with the process."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop.set()
            deadline = time.monotonic() + 1.0
            for slot in self._slots:
                slot.end(deadline)

    def wait(self, timeout: float) -> bool:
        """Wait until every reader has answered or failed once, at most `timeout` seconds; whether that happened."""
        deadline = time.monotonic() + timeout
        return all(slot.answered.wait(max(0.0, deadline - time.monotonic())) for slot in self._slots)

    @property
    def state(self) -> DeviceState:
        """The newest values. Never blocks; before the first reads, or long after the last, all are unknown."""
        return self.look().state

    def look(self) -> Look:
        """As `state`, with the sources."""
        now = self._clock()
        sensed = merge(slot.current(now) for slot in self._slots)
        known = {field: item.value for field, item in sensed.items() if item.value is not None}
        return Look(DeviceState(time=now, **known), sensed)

    def __enter__(self) -> Monitor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Slot:
    """A reader, its thread, and the newest reading, which the thread replaces as a whole: no lock is needed."""

    def __init__(
        self, reader: Reader, interval: float, clock: Callable[[], float], notify: Callable[[str], None]
    ) -> None:
        self._reader, self._clock, self._notify = reader, clock, notify
        self._interval = interval
        self._plausible = PlausibilityFilter(reader.name, self._tell)
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._newest: tuple[float, Reading] = (clock(), {})
        self.answered = threading.Event()

    def start(self, stop: threading.Event) -> None:
        self.answered.clear()
        self._newest = (self._clock(), {})
        self._thread = threading.Thread(
            target=self._run, args=(stop,), name=f"veca-edge sensors: {self._reader.name}", daemon=True
        )
        self._thread.start()

    def end(self, deadline: float) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))

    def current(self, now: float) -> Reading:
        """The newest reading, or nothing if it is too old."""
        stamp, reading = self._newest
        if now - stamp <= self._pause() + STALE:
            return reading
        if self._thread is not None:
            self._tell_once("hangs", f"no answer for {now - stamp:.0f} s; its values are unknown until it answers")
        return {}

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            reading = self._read()
            if stop.is_set():
                break  # perhaps after a long hang: another thread may be at work by now
            self._newest = (self._clock(), reading)
            self.answered.set()
            stop.wait(self._pause())
        with suppress(Exception):  # as unreliable as its reads
            self._reader.close()

    def _read(self) -> Reading:
        try:
            reading = self._plausible(self._reader.read())
        except Exception as error:
            self._failures += 1
            text = f"{type(error).__name__}: {error}".rstrip(": ")
            self._tell_once("fails", f"{text[:200]}; its values are unknown until it works")
            return {}
        self._failures = 0
        return reading

    def _pause(self) -> float:
        """Seconds to the next read: longer the more often it has failed, so that failing stays cheap."""
        period = max(self._interval, self._reader.interval)
        return max(period, min(BACK_OFF, period * 2.0 ** min(self._failures, 10)))

    def _tell_once(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._tell(f"sensors: {self._reader.name}: {text}")

    def _tell(self, message: str) -> None:
        with suppress(Exception):  # a warning that finds no way out must not end the sensing
            self._notify(message)
