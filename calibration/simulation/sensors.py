"""What a simulated device says about itself: different platforms, and broken ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from veca_edge.calibration.simulation.device import Body
from veca_edge.sensors.state import DeviceState, ThermalLevel

# Degrees at which the levels fair, serious and critical begin: light, severe and critical of a Pixel 6a.
THRESHOLDS = (39.0, 45.0, 47.0)
HYSTERESIS = 1.9
SEVERE = 45.0
FORECAST = 10.0  # seconds ahead, as Android's documentation suggests to ask


@dataclass(frozen=True)
class Sensors:
    """What can be read, and how badly.

    Attributes:
        level: whether there is a thermal level.
        headroom: whether there are headroom, a forecast of it and a skin temperature.
        battery: whether there is a battery to read.
        thresholds: degrees of the levels.
        noise: standard deviation of headroom; battery readings have half of it.
        missing: share of readings that are NaN or absent.
        wild: share of readings that are far off, and of levels that are one off.
    """

    level: bool = True
    headroom: bool = True
    battery: bool = True
    thresholds: tuple[float, float, float] = THRESHOLDS
    noise: float = 0.002
    missing: float = 0.0
    wild: float = 0.0


class Reader:
    """Reads a body, second by second; keeps what the platform itself remembers."""

    def __init__(self, sensors: Sensors, random: Random) -> None:
        self._sensors, self._random = sensors, random
        self._level = 0
        self._before: float | None = None

    def read(self, time: float, body: Body, charging: bool, low_power: bool) -> DeviceState:
        """The state that an app would see."""
        sensors = self._sensors
        level, headroom, forecast = self._read_level(body), self._headroom(body), None
        if headroom is not None and self._before is not None and not math.isnan(headroom):
            forecast = headroom + FORECAST * ((body.case - SEVERE) / 30 + 1 - self._before)
        self._before = (body.case - SEVERE) / 30 + 1
        charge = self._disturbed(body.charge, sensors.noise / 2) if sensors.battery else None
        return DeviceState(
            time=time,
            battery=None if charge is None or math.isnan(charge) else min(1.0, max(0.0, charge)),
            charging=charging if sensors.battery else None,
            low_power=low_power if sensors.battery else None,
            thermal=level,
            headroom=headroom,
            forecast=forecast,
            temperatures=(("skin", body.case),) if sensors.headroom and not sensors.missing else (),
        )

    def _read_level(self, body: Body) -> ThermalLevel | None:
        if not self._sensors.level:
            return None
        thresholds = self._sensors.thresholds
        while self._level < 3 and body.case >= thresholds[self._level]:
            self._level += 1
        while self._level > 0 and body.case < thresholds[self._level - 1] - HYSTERESIS:
            self._level -= 1
        shown = self._level
        if self._happens(self._sensors.wild):
            shown = min(2, max(0, shown + self._random.choice((-1, 1))))
        return None if self._happens(self._sensors.missing) else ThermalLevel(shown)

    def _headroom(self, body: Body) -> float | None:
        if not self._sensors.headroom:
            return None
        read = self._disturbed(1 + (body.case - SEVERE) / 30, self._sensors.noise)
        return 0.0 if read < 0 else read  # NaN stays

    def _disturbed(self, value: float, noise: float) -> float:
        if self._happens(self._sensors.missing):
            return math.nan
        if self._happens(self._sensors.wild):
            noise = 0.2
        return value + self._random.gauss(0, noise)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share
