"""How many threads: the number of big cores, because a thread on a little core holds all the others up."""

from __future__ import annotations

import os

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import whole
from veca_edge.sensors.sysfs import read_int

SYSFS = "/sys/devices/system/cpu"
MOST = 64  # threads on a machine with fewer processors; XNNPACK would start any number
BIG = 0.75  # of the fastest core's capacity; little cores have half of it or less


def default_threads(sysfs: str = SYSFS) -> int:
    """The number of big cores this process may use, at least 1.

    Linux tells each core's relative capacity (`cpu_capacity`, on Arm) or its highest clock; cores with at least
    three quarters of the best value count as big. Where neither is known every usable core counts.
    """
    usable = usable_cores()
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        values = [read_int(f"{sysfs}/cpu{core}/{name}") for core in usable]
        known = [value for value in values if value]
        if len(known) == len(usable):
            return max(1, sum(value >= BIG * max(known) for value in known))
    return max(1, len(usable))


def usable_cores() -> list[int]:
    """The logical processors that this process may use, by their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def check_threads(threads: int | None) -> int:
    """`threads`, or the default for None; VecaError below 1, or for more than the system can bear."""
    if threads is None:
        return default_threads()
    most = max(MOST, os.cpu_count() or 1)
    number = whole(threads, 1, most)
    if number is None:
        raise VecaError(f"{shown(threads)} threads: use a whole number from 1 to {most}")
    return number
