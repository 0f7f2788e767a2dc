"""What the governor says, and what it remembers from one decision to the next."""

from __future__ import annotations

from dataclasses import dataclass

from veca_edge.governor.points import OperatingPoint


@dataclass(frozen=True)
class Memory:
    """Everything that a decision hands to the next one.

    Attributes:
        time: of the decision, on the device state's clock; None if the clock said nothing usable.
        index: of the chosen point in the front.
        settled: seconds since the point changed.
        ceiling: the heat ceiling, share of the best point's power.
        heat: averaged headroom, or None before the first reading and after a long time without one.
        trend: of that, per second.
        unread: seconds since the last reading.
        hot: whether the last state said serious or worse.
        slowdown: frame times in units of the point's usual ones, averaged; None before the first frames.
        tail: the same for slow frames.
        calm: slowdown when the device is at its best; None before the first frames.
    """

    time: float | None = None
    index: int = 0
    settled: float = 0.0
    ceiling: float = 1.0
    heat: float | None = None
    trend: float = 0.0
    unread: float = 0.0
    hot: bool = False
    slowdown: float | None = None
    tail: float | None = None
    calm: float | None = None


@dataclass(frozen=True, repr=False)
class Decision:
    """What to do until the next decision.

    Attributes:
        point: how to run.
        reason: why, in one line for people.
        stop_camera: the heat is critical: the point is the least there is, and without a camera it would be less.
        memory: hand the decision, and so this, to the next one.
    """

    point: OperatingPoint
    reason: str
    stop_camera: bool
    memory: Memory

    def __repr__(self) -> str:
        """<Decision C 8, 128 px, all patches, 30 fps: battery 15 %>"""
        return f"<Decision {self.point}: {self.reason}{', stop the camera' if self.stop_camera else ''}>"
