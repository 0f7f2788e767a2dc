"""What the frames since the last decision say about the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veca_edge.governor.points import OperatingPoint


@dataclass(frozen=True)
class FrameStatistics:
    """Recent frames, all of them computed at the operating point of the last decision.

    Attributes:
        count: how many frames; 0 for none, then nothing else is read.
        p50: median latency, seconds.
        p95: latency that one frame in twenty exceeded, seconds.
        misses: how many took longer than a frame's share of time, 1 / rate.
        pace: median of each frame's latency in units of what a frame with as many computed patches should take, or
            None if unknown. A moving scene makes frames longer, a slow device does it to this.
    """

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    misses: int = 0
    pace: float | None = None

    @classmethod
    def of(
        cls, latencies: Sequence[float], point: OperatingPoint, computed: Sequence[int] | None = None
    ) -> FrameStatistics:
        """Summarize frames.

        Args:
            latencies: seconds, one per frame.
            point: that they were computed at.
            computed: patches computed, one per frame, if known. Frames in which nothing was computed have no pace.
        """
        if not latencies:
            return cls()
        ordered = sorted(latencies)
        misses = sum(latency * point.rate > 1 for latency in ordered)
        pace = None
        if computed is not None:
            frames = zip(latencies, computed, strict=True)
            paces = sorted(latency / point.expected(patches) for latency, patches in frames if patches)
            pace = _quantile(paces, 0.5) if paces else None
        return cls(len(ordered), _quantile(ordered, 0.5), _quantile(ordered, 0.95), misses, pace)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The value at this share of the way through, without interpolation: always one that was seen."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
