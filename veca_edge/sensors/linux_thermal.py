"""Linux: temperatures and a thermal level from /sys/class/thermal.

Source: the kernel's Documentation/driver-api/thermal/sysfs-api.rst and power_allocator.rst. Temperatures and
trip points are in thousandths of a degree Celsius. A trip point is passive (the kernel slows the processor from
there on), active (a fan starts), hot (firmware is told) or critical (the machine switches off).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from veca_edge.sensors.plausible import checked_temperature
from veca_edge.sensors.reading import PlainReader, Reading, Sensed
from veca_edge.sensors.state import ThermalLevel
from veca_edge.sensors.sysfs import KeptFiles, entries, read_int, read_text, under

FOLDER = "/sys/class/thermal"
RESCAN = 60.0  # seconds: zones come with drivers and trip points can be moved, both rarely
SWITCH_ON, CONTROL = 0, -1  # the power allocator's first and last passive trip

# The rule, in degrees. A zone is
#   serious   from its passive trip on, where the kernel begins to slow the processor;
#   fair      FAIR below that;
#   critical  from CRITICAL below its lowest hot or critical trip on, or half-way to it if the passive trip is near.
# A zone without a passive trip is serious from SERIOUS below that trip on. Fans are cooling that works, so active
# trips do not count, and trips below LOWEST say "not set" (0, -274) rather than anything of heat.
FAIR = 5.0
CRITICAL = 5.0
SERIOUS = 15.0
LOWEST = 30.0


@dataclass(frozen=True)
class Limits:
    """A zone's trip points, degrees Celsius; None is absent.

    Attributes:
        passive: where the kernel slows the processor.
        ceiling: where the machine gives up, the lowest of hot and critical.
    """

    passive: float | None
    ceiling: float | None

    def level(self, celsius: float) -> ThermalLevel | None:
        """The level by the rule above; None without trip points."""
        passive = self.passive
        if self.ceiling is not None:
            if passive is None or passive >= self.ceiling:
                passive = self.ceiling - SERIOUS
            if celsius >= self.ceiling - min(CRITICAL, (self.ceiling - passive) / 2):
                return ThermalLevel.CRITICAL
        if passive is None:
            return None
        if celsius >= passive:
            return ThermalLevel.SERIOUS
        return ThermalLevel.FAIR if celsius >= passive - FAIR else ThermalLevel.NOMINAL

    def __str__(self) -> str:
        named = (("passive", self.passive), ("hot or critical", self.ceiling))
        return ", ".join(f"{name} at {value:g} °C" for name, value in named if value is not None)


@dataclass(frozen=True)
class Zone:
    """A thermal zone: what it is called, the file of its temperature, when it is hot."""

    name: str
    temperature: str
    limits: Limits


class ThermalReader(PlainReader):
    """The zones' temperatures, and the level of the hottest zone by its own trip points.

    Zones that answer with an error (many do while their device sleeps) are left out without a word.
    """

    name = "thermal zones"

    def __init__(self, root: str = "/", clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = under(root, FOLDER), clock
        self._files = KeptFiles()
        self._zones: tuple[Zone, ...] = ()
        self._scanned: float | None = None

    def read(self) -> Reading:
        now = self._clock()
        if self._scanned is None or now - self._scanned >= RESCAN:
            self._files.close()
            self._zones, self._scanned = tuple(find_zones(self._folder)), now
            self.interval = 1.0 if self._zones else RESCAN
        temperatures: list[tuple[str, float]] = []
        hottest: tuple[ThermalLevel, Zone, float] | None = None
        for zone in self._zones:
            milli = self._files.read_int(zone.temperature)
            if milli is None:
                continue
            celsius = milli / 1000
            temperatures.append((zone.name, celsius))
            level = zone.limits.level(celsius)
            if level is None or checked_temperature(celsius) is None:
                continue
            if hottest is None or level > hottest[0]:
                hottest = level, zone, celsius
        if not temperatures:
            return {}
        return {"temperatures": Sensed(tuple(temperatures), FOLDER), "thermal": _sensed_level(hottest)}

    def close(self) -> None:
        self._files.close()


def _sensed_level(hottest: tuple[ThermalLevel, Zone, float] | None) -> Sensed:
    if hottest is None:
        return Sensed(None, f"{FOLDER}: no zone has trip points")
    level, zone, celsius = hottest
    return Sensed(level, f"{FOLDER}: {zone.name} {celsius:.1f} °C, {zone.limits}")


def find_zones(folder: str) -> Iterator[Zone]:
    """The zones with their trip points; a type that occurs again gets the zone's number."""
    seen = set()
    for entry, path in entries(folder, "thermal_zone"):
        name = read_text(f"{path}/type") or entry
        if name in seen:
            name = f"{name} {entry.removeprefix('thermal_zone')}"
        seen.add(name)
        yield Zone(name, f"{path}/temp", _limits(path))


def _limits(path: str) -> Limits:
    passive, ceilings = [], []
    for name, trip in entries(path, "trip_point_"):
        if not name.endswith("_type"):
            continue
        kind, milli = read_text(trip), read_int(f"{trip.removesuffix('_type')}_temp")
        celsius = checked_temperature(milli / 1000) if milli is not None else None
        if celsius is None or celsius < LOWEST:
            continue
        if kind == "passive":
            passive.append(celsius)
        elif kind in ("hot", "critical"):
            ceilings.append(celsius)
    # The power allocator only starts to watch at its first passive trip and holds the last one.
    which = CONTROL if read_text(f"{path}/policy") == "power_allocator" else SWITCH_ON
    return Limits(sorted(passive)[which] if passive else None, min(ceilings, default=None))
