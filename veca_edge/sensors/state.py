"""What a device says about itself. Unknown (None) is a value everywhere: servers have no sensors at all."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from veca_edge.errors import VecaError, shown


class ThermalLevel(enum.IntEnum):
    """How hot the device says it is, in Apple's four steps; a higher level is hotter."""

    NOMINAL = 0
    FAIR = 1
    SERIOUS = 2
    CRITICAL = 3

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise VecaError(f"thermal level {shown(value)}: use {', '.join(f'{level:d} ({level})' for level in cls)}")


@dataclass(frozen=True)
class DeviceState:
    """One look at the sensors.

    Attributes:
        time: seconds on a clock that never goes back; where it starts means nothing.
        battery: charge, 0..1, or None if unknown or there is no battery.
        charging: whether the device runs on external power.
        low_power: whether the user asked the device to save power.
        thermal: the platform's own judgement, or one made from temperatures and trip points.
        headroom: nearness of throttling, 0..; 1 is where the platform throttles severely (Android's scale).
        forecast: the headroom expected some seconds ahead, on the same scale.
        temperatures: (name, degrees Celsius) of every readable sensor.
        frequency: CPU frequency as a share of its maximum, 0..1.
        power: watts drawn by the processor package or the device.
    """

    time: float
    battery: float | None = None
    charging: bool | None = None
    low_power: bool | None = None
    thermal: ThermalLevel | None = None
    headroom: float | None = None
    forecast: float | None = None
    temperatures: tuple[tuple[str, float], ...] = ()
    frequency: float | None = None
    power: float | None = None
