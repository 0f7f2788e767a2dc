"""Linux: the processor's frequency from cpufreq and its power from powercap.

Source: the kernel's Documentation/admin-guide/pm/cpufreq.rst (kHz) and
Documentation/power/powercap/powercap.rst (energy in µJ that starts over after max_energy_range_uj).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from veca_edge.sensors.cores import little_cores
from veca_edge.sensors.reading import PlainReader, Reading, Sensed
from veca_edge.sensors.sysfs import KeptFiles, entries, parse_int, read_int, read_label, read_text, under

CPUFREQ = "/sys/devices/system/cpu/cpufreq"
POWERCAP = "/sys/class/powercap"
BIG = 0.75  # of the fastest core's maximum; little cores idle in lower gears whatever the big ones do
FASTEST = 20_000_000  # kHz: no core has such a clock
TURBO = 1.1  # of the maximum: what is above it is no frequency
MOST_POLICIES = 8  # to read: servers have one per processor, and they move alike
INTERVAL = 2.0  # seconds: a mean over two seconds says more than one over one, at half the cost
RESCAN = 60.0  # seconds
FIRST_SPAN = 0.1  # seconds that the first power is measured over


@dataclass(frozen=True)
class Policy:
    """Cores that share a clock: where, which, and their highest frequency in kHz."""

    name: str
    path: str
    cores: frozenset[int]
    maximum: int


class CpufreqReader(PlainReader):
    """The big cores' frequency as a share of their maximum, weighted by the number of cores."""

    name = "cpufreq"

    def __init__(self, root: str = "/", clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._folder, self._clock = root, under(root, CPUFREQ), clock
        self._files = KeptFiles()
        self._policies: list[Policy] = []
        self._scanned: float | None = None

    def read(self) -> Reading:
        now = self._clock()
        if self._scanned is None or now - self._scanned >= RESCAN:
            self._files.close()
            self._policies, self._scanned = big_policies(self._folder, self._root), now
            self.interval = INTERVAL if self._policies else RESCAN
        current = maximum = 0
        names = []
        for policy in self._policies:
            frequency = self._files.read_int(f"{policy.path}/scaling_cur_freq")
            if frequency is not None and 0 < frequency <= TURBO * policy.maximum:
                current += frequency * len(policy.cores)
                maximum += policy.maximum * len(policy.cores)
                names.append(policy.name)
        if not maximum:
            return {}
        return {"frequency": Sensed(current / maximum, f"{CPUFREQ}/{{{','.join(names)}}}".replace("{}", ""))}

    def close(self) -> None:
        self._files.close()


def big_policies(folder: str, root: str = "/") -> list[Policy]:
    """The policies of the big cores, at most MOST_POLICIES spread evenly over them.

    Args:
        folder: where the policies are.
        root: what stands for /; it tells the little cores by their part numbers.
    """
    policies = []
    for name, path in entries(folder, "policy"):
        maximum = read_int(f"{path}/cpuinfo_max_freq")
        if maximum and 0 < maximum <= FASTEST:
            numbers = [parse_int(core) for core in (read_text(f"{path}/related_cpus") or "").split()]
            cores = frozenset(core for core in numbers if core is not None) or frozenset({0})
            policies.append(Policy(name, path, cores, maximum))
    little = little_cores({core for policy in policies for core in policy.cores}, root)
    policies = [policy for policy in policies if not policy.cores <= little] or policies
    fastest = max((policy.maximum for policy in policies), default=0)
    big = [policy for policy in policies if policy.maximum >= BIG * fastest]
    count = min(MOST_POLICIES, len(big))
    return [big[index * len(big) // count] for index in range(count)]


class EnergyCounters:
    """What all processor packages use, by the energy counters of their zones.

    Since 2020 kernels let only the administrator read them (a leak of secrets through power), so on most machines
    the answer is unknown. Without packages the platform's counter (psys) is used.
    """

    def __init__(self, root: str = "/") -> None:
        self._folder = under(root, POWERCAP)
        self._files = KeptFiles()
        self._before: dict[str, int] = {}
        self.zones: dict[str, str] = {}  # paths by name, see `find`

    def find(self) -> bool:
        """Look for zones if none is known; whether there are some."""
        self.zones = self.zones or find_packages(self._folder)
        return bool(self.zones)

    @property
    def started(self) -> bool:
        """Whether a counter was read, so that the next reading tells something."""
        return bool(self._before)

    def joules(self) -> float | None:
        """Joules since the last call; None at the first, without zones, or if a counter tells nothing.

        Raises:
            OSError: the counters cannot be read; the next call is a first one.
        """
        try:
            used = [self._grown(name, path) for name, path in self.zones.items()]
        except OSError:
            self._before.clear()
            raise
        known = [value for value in used if value is not None]
        return sum(known) / 1e6 if known and len(known) == len(used) else None

    def _grown(self, name: str, path: str) -> int | None:
        """Microjoules of one zone since the last call."""
        energy = parse_int(self._files.read_or_raise(f"{path}/energy_uj").decode("ascii", "replace"))
        before = self._before.pop(name, None)
        if energy is None or energy < 0:
            return None
        self._before[name] = energy
        if before is None:
            return None
        if energy < before:  # the counter started over
            energy += read_int(f"{path}/max_energy_range_uj") or 0
        return energy - before if energy >= before else None

    def close(self) -> None:
        self._files.close()


class PowercapReader(PlainReader):
    """Watts of all processor packages: the growth of their energy counters over time.

    Args:
        pause: sleeps, once, between the first two readings of the counters.
    """

    name = "powercap"

    def __init__(
        self,
        root: str = "/",
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._counters, self._clock, self._pause = EnergyCounters(root), clock, pause
        self._then = 0.0

    def read(self) -> Reading:
        self.interval = INTERVAL
        if not self._counters.find():
            self.interval = RESCAN
            return {}
        try:
            if not self._counters.started:
                self._watts()
                self._pause(FIRST_SPAN)
            watts = self._watts()
        except OSError as error:
            self.interval = RESCAN
            return {"power": Sensed(None, f"{POWERCAP}: {(error.strerror or 'unreadable').lower()}")}
        return {"power": Sensed(watts, f"{POWERCAP}: {', '.join(self._counters.zones)}")}

    def _watts(self) -> float | None:
        """Watts since the last call, None if a counter tells nothing yet."""
        joules, then, self._then = self._counters.joules(), self._then, self._clock()
        return None if joules is None or self._then <= then else joules / (self._then - then)

    def close(self) -> None:
        self._counters.close()


def find_packages(folder: str) -> dict[str, str]:
    """Paths by name of the packages' zones; the platform's if there are none.

    A package shows up once per way to its counter (registers, memory): the first is taken.
    """
    zones: dict[str, str] = {}
    for entry, path in entries(folder):
        name = read_label(f"{path}/name") if entry.count(":") == 1 else None
        if name and (name.startswith("package") or name == "psys"):
            zones.setdefault(name, path)
    packages = {name: path for name, path in zones.items() if name != "psys"}
    return packages or zones
