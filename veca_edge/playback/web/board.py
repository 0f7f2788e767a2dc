"""Between a run and its viewers: the newest frame for them, their newest wishes for the run."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from veca_edge.arrays import Image
from veca_edge.playback.protocols import Shown
from veca_edge.playback.summary import ms
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.web.status import Choices, finite, frame_status

WATCHED = 1.5  # seconds after the last question for a picture that someone still counts as looking
TRAIL, TRAIL_STEP = 240, 0.25  # how many points of the past are kept for the page's curves, and their distance
MESSAGE_LENGTH = 300
WAITING = 32  # commands that wait for the next frame at most


@dataclass(frozen=True, eq=False)
class Picture:
    """A numbered picture, (H, W, 3) uint8 RGB."""

    number: int
    image: Image


@dataclass(frozen=True)
class Step:
    """One point of the curves: the slowest frame since the last point.

    Attributes:
        version: of the board when it was added.
        time: seconds since the board was made.
        latency: seconds.
        cores: of the newest frame.
    """

    version: int
    time: float
    latency: float
    cores: int


class Board:
    """What a run shows and what its viewers want; a `playback.protocols.Remote`.

    The run's thread writes, the server's reads, and the other way round for wishes; nobody waits for the other.
    Only the newest frame and the newest wish of a kind are kept; commands for what is taught wait in a row.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began = clock, clock()
        self._lock = threading.Condition()
        self._listener: Callable[[], object] = lambda: None
        self._version = 0
        self._phase, self._message = "starting", ""
        self._choices: Choices | None = None
        self._shown: Shown | None = None
        self._picture: Picture | None = None
        self._summary: dict[str, Any] | None = None
        self._trail: deque[Step] = deque(maxlen=TRAIL)
        self._slowest = 0.0
        self._wishes: dict[str, Any] = {}
        self._looking, self._looked = 0, -math.inf

    def listen(self, listener: Callable[[], object]) -> None:
        """Have `listener` called, from any thread, after every change."""
        with self._lock:
            self._listener = listener

    # The run's side

    @property
    def watched(self) -> bool:
        """Whether someone asks for pictures."""
        return self._looking > 0 or self._clock() - self._looked < WATCHED

    def begin(self, choices: Choices) -> None:
        """The model is there, frames will follow."""
        with self._changed():
            self._choices, self._phase, self._message = choices, "running", ""

    def tell(self, message: str) -> None:
        """Something worth telling, in one line."""
        with self._changed():
            self._message = " ".join(message.split())[:MESSAGE_LENGTH]

    def end(self, message: str, summary: dict[str, Any] | None) -> None:
        """No frame will follow: why, and the run's numbers if there are any."""
        with self._changed():
            self._phase, self._summary = "ended", summary
            self._message = " ".join(message.split())[:MESSAGE_LENGTH]

    def show(self, shown: Shown) -> None:
        """The newest frame. Its picture, if it has one, takes the place of the last."""
        with self._changed():
            self._shown = shown
            if shown.picture is not None:
                self._picture = Picture(self._version, shown.picture)
            self._follow(shown)

    def steer(self, state: ViewState, wait: float) -> ViewState:
        """`state` with what viewers have wished since the last call; waits up to `wait` seconds for a wish."""
        with self._lock:
            if wait and not self._wishes:
                self._lock.wait(wait)
            wishes, self._wishes = self._wishes, {}
        return replace(state, **wishes)

    # The viewers' side

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    @property
    def picture(self) -> Picture | None:
        """The newest one."""
        return self._picture

    @property
    def choices(self) -> Choices | None:
        """What can be wished for; None before the run begins."""
        return self._choices

    @property
    def ended(self) -> bool:
        return self._phase == "ended"

    def wish(self, wishes: Mapping[str, Any]) -> bool:
        """Fields of the run's `ViewState` and their new values, checked by whoever took them in.

        Returns:
            False, with nothing taken, if too many commands wait already.
        """
        with self._lock:
            commands = (*self._wishes.get("commands", ()), *wishes.get("commands", ()))
            if len(commands) > WAITING:
                return False
            self._wishes |= {**wishes, "commands": commands} if commands else wishes
            self._lock.notify_all()
        return True

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Counts as someone who asks for pictures, and for a while after."""
        with self._lock:
            self._looking += 1
        try:
            yield
        finally:
            with self._lock:
                self._looking -= 1
                self._looked = self._clock()

    def status(self, after: int) -> dict[str, Any]:
        """Everything but the picture, ready for JSON; of the curves only what is newer than version `after`."""
        with self._lock:
            shown, picture = self._shown, self._picture
            told = {
                "version": self._version,
                "phase": self._phase,
                "message": self._message,
                "picture": None if picture is None else picture.number,
                "run": None if self._choices is None else asdict(self._choices),
                "trail": [
                    [round(step.time, 2), finite(ms(step.latency)), step.cores]
                    for step in self._trail
                    if step.version > after
                ],
                "summary": self._summary,
            }
        return told | {"now": None if shown is None else frame_status(shown)}

    def _follow(self, shown: Shown) -> None:
        """Add to the curves, at most every TRAIL_STEP seconds."""
        self._slowest = max(self._slowest, shown.result.latency)
        now = self._clock() - self._began
        if self._slowest and (not self._trail or now - self._trail[-1].time >= TRAIL_STEP):
            self._trail.append(Step(self._version, now, self._slowest, shown.hud.cores))
            self._slowest = 0.0

    @contextmanager
    def _changed(self) -> Iterator[None]:
        with self._lock:
            self._version += 1
            yield
        self._listener()
