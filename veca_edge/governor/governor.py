"""A governor for an app: gathers frames, remembers the last decision, calls back when the heat is critical."""

from __future__ import annotations

from collections.abc import Callable

from veca_edge.governor.decision import Decision
from veca_edge.governor.points import Front, OperatingPoint
from veca_edge.governor.policy import decide
from veca_edge.governor.settings import BALANCED, Settings
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState


class Governor:
    """The little state around `decide`. One per stream; not thread-safe.

    governor = Governor(front)
    point = governor.decide(sensors.read()).point
    ...
    governor.frame(result.latency, computed=int(result.computed.sum()))   # after every frame
    point = governor.decide(sensors.read()).point                         # about once a second
    """

    def __init__(
        self,
        front: Front,
        settings: Settings = BALANCED,
        on_critical: Callable[[Decision], None] = lambda decision: None,
    ) -> None:
        """Args:
        front: the points to choose among.
        settings: a preset, or your own.
        on_critical: called at the first decision of a critical spell, so that the app can stop the camera.
        """
        self.front = front
        self.settings = settings
        self.last: Decision | None = None
        self._on_critical = on_critical
        self._latencies: list[float] = []
        self._computed: list[int] = []

    @property
    def point(self) -> OperatingPoint:
        """How to run now; before any decision the least there is."""
        return self.front.points[0] if self.last is None else self.last.point

    def frame(self, latency: float, computed: int | None = None) -> None:
        """Tell how long a frame took (seconds) at the present point, and how many of its patches were computed."""
        self._latencies.append(latency)
        if computed is not None:
            self._computed.append(computed)

    def decide(self, state: DeviceState) -> Decision:
        """The next decision; the frames so far have been counted with it."""
        counts = self._computed if len(self._computed) == len(self._latencies) else None
        frames = FrameStatistics.of(self._latencies, self.point, counts)
        before, point = self.last, self.point
        self.last = decide(state, before, frames, self.front, self.settings)
        # At a low rate a second has too few frames: they wait for more of their kind.
        if frames.count >= self.settings.least_frames or self.last.point != point:
            self._latencies, self._computed = [], []
        critical_before = before is not None and before.stop_camera
        if self.last.stop_camera and not critical_before:
            self._on_critical(self.last)
        return self.last
