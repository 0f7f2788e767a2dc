"""Linux: temperatures and a thermal level from /sys/class/thermal.

Source: the kernel's Documentation/driver-api/thermal/sysfs-api.rst and power_allocator.rst. Temperatures and
trip points are in thousandths of a degree Celsius, but for drivers that use others (see `unit_of`). A trip point
is passive (the kernel slows the processor from there on), active (a fan starts), hot (firmware is told) or critical
(the machine switches off).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from veca_edge.sensors.credible import HOT, MILLI, UNITS, Stillness, contradiction, unit_of
from veca_edge.sensors.plausible import checked_temperature
from veca_edge.sensors.reading import PlainReader, Reading, Sensed
from veca_edge.sensors.state import ThermalLevel
from veca_edge.sensors.sysfs import KeptFiles, entries, read_int, read_label, under

FOLDER = "/sys/class/thermal"
RESCAN = 60.0  # seconds: zones come with drivers and trip points can be moved, both rarely
SWITCH_ON, CONTROL = 0, -1  # the power allocator's first and last passive trip

# The rule, in degrees. A zone is
#   serious   from its passive trip on, where the kernel begins to slow the processor;
#   fair      FAIR below that;
#   critical  from CRITICAL below its lowest hot or critical trip on, or half-way to it if the passive trip is near.
# A zone without a passive trip is serious from SERIOUS below that trip on. Fans are cooling that works, so active
# trips do not count, and trips below LOWEST say "not set" (0, -274) rather than anything of heat. A hot trip that
# is passed by BEYOND and more was of no effect on the machine, and is none.
FAIR = 5.0
CRITICAL = 5.0
SERIOUS = 15.0
LOWEST = 30.0
BEYOND = 10.0


@dataclass(frozen=True)
class Limits:
    """A zone's trip points, degrees Celsius; None is absent.

    Attributes:
        passive: where the kernel slows the processor.
        ceiling: where the machine gives up, the lowest of hot and critical.
        critical: where it switches off.
    """

    passive: float | None = None
    ceiling: float | None = None
    critical: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is any."""
        return self.passive is not None or self.ceiling is not None

    def credible(self, celsius: float) -> Limits:
        """Those that a machine at this temperature does not contradict."""
        if self.ceiling is None or self.ceiling == self.critical or celsius < self.ceiling + BEYOND:
            return self
        return replace(self, ceiling=self.critical)

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
    """A thermal zone: what it is called, the file of its temperature, when it is hot (in each of UNITS)."""

    name: str
    temperature: str
    limits: Mapping[int, Limits]
    trips: Mapping[int, bool]


@dataclass(frozen=True)
class Heat:
    """A zone's temperature in degrees Celsius, and its limits."""

    name: str
    celsius: float
    limits: Limits

    @property
    def level(self) -> ThermalLevel | None:
        """By the limits; None if there are none, or for a temperature that cannot be."""
        return None if checked_temperature(self.celsius) is None else self.limits.level(self.celsius)

    @property
    def hot(self) -> bool:
        return self.celsius >= HOT or (self.level or ThermalLevel.NOMINAL) > ThermalLevel.NOMINAL


class ThermalReader(PlainReader):
    """The zones' temperatures, and the level of the hottest zone by its own trip points.

    Zones that answer with an error (many do while their device sleeps) are left out without a word, those that
    cannot be believed with the reason.
    """

    name = "thermal zones"

    def __init__(self, root: str = "/", clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = under(root, FOLDER), clock
        self._files = KeptFiles()
        self._zones: tuple[Zone, ...] = ()
        self._scanned: float | None = None
        self._still = Stillness()

    def read(self) -> Reading:
        now = self._clock()
        if self._scanned is None or now - self._scanned >= RESCAN:
            self._files.close()
            self._zones, self._scanned = tuple(find_zones(self._folder)), now
            self.interval = 1.0 if self._zones else RESCAN
        told: list[Heat | str] = [heat for zone in self._zones if (heat := self._heat(zone)) is not None]
        heats = [heat for heat in told if isinstance(heat, Heat)]
        left_out = [text for text in told if isinstance(text, str)]
        for heat in heats:
            self._still.see(heat.name, heat.celsius, now)
        believed = []
        for heat in heats:
            others = [other.celsius for other in heats if other is not heat]
            reason = self._still.doubt(heat.name, heat.celsius, now, others) if heat.hot else None
            if reason is None:
                believed.append(heat)
            else:
                left_out.append(f"{heat.name} {heat.celsius:.1f} °C: {reason}")
        if not told:
            return {}
        pairs = tuple((heat.name, heat.celsius) for heat in believed)
        return {"temperatures": Sensed(pairs or None, FOLDER, tuple(left_out)), "thermal": _level(believed)}

    def _heat(self, zone: Zone) -> Heat | str | None:
        """A zone's temperature, or why it is not believed; None if there is none."""
        raw = self._files.read_int(zone.temperature)
        if raw is None:
            return None
        unit = unit_of(raw, zone.trips)
        if unit is None and raw and abs(raw) < MILLI:
            return f"{zone.name} {raw}: in no unit that fits its trip points"
        celsius = raw / (unit or MILLI)
        limits = zone.limits[unit or MILLI].credible(celsius)
        reason = contradiction(celsius, limits.critical)
        return Heat(zone.name, celsius, limits) if reason is None else f"{zone.name} {celsius:.1f} °C: {reason}"

    def close(self) -> None:
        self._files.close()


def _level(heats: Iterable[Heat]) -> Sensed:
    """The hottest level, of several the first."""
    levels = [(level, heat) for heat in heats if (level := heat.level) is not None]
    if not levels:
        return Sensed(None, f"{FOLDER}: no zone has trip points")
    level, heat = max(levels, key=lambda pair: pair[0])
    return Sensed(level, f"{FOLDER}: {heat.name} {heat.celsius:.1f} °C, {heat.limits}")


def find_zones(folder: str) -> Iterator[Zone]:
    """The zones with their trip points; a type that occurs again gets the zone's number."""
    seen = set()
    for entry, path in entries(folder, "thermal_zone"):
        name = read_label(f"{path}/type") or entry
        if name in seen:
            name = f"{name} {entry.removeprefix('thermal_zone')}"
        seen.add(name)
        trips = list(_trips(path))
        # The power allocator only starts to watch at its first passive trip and holds the last one.
        which = CONTROL if read_label(f"{path}/policy") == "power_allocator" else SWITCH_ON
        limits = {unit: _limits(trips, unit, which) for unit in UNITS}
        yield Zone(name, f"{path}/temp", limits, {unit: limit.known for unit, limit in limits.items()})


def _trips(path: str) -> Iterator[tuple[str, int]]:
    """(kind, temperature) of a zone's trip points, as the kernel shows them."""
    for name, trip in entries(path, "trip_point_"):
        if name.endswith("_type"):
            kind, raw = read_label(trip), read_int(f"{trip.removesuffix('_type')}_temp")
            if kind is not None and raw is not None:
                yield kind, raw


def _limits(trips: Iterable[tuple[str, int]], unit: int, which: int) -> Limits:
    """The trip points read in a unit; those that cannot be in it are not set."""
    found: dict[str, list[float]] = {"passive": [], "hot": [], "critical": []}
    for kind, raw in trips:
        celsius = checked_temperature(raw / unit)
        if kind in found and celsius is not None and celsius >= LOWEST:
            found[kind].append(celsius)
    return Limits(
        passive=sorted(found["passive"])[which] if found["passive"] else None,
        ceiling=min([*found["hot"], *found["critical"]], default=None),
        critical=min(found["critical"], default=None),
    )
