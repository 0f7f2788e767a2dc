"""How many threads: the number of big cores, because a thread on a little core holds all the others up.

A container's quota counts as well, rounded down: threads that together want more than the quota are all stopped
by the kernel in the middle of a frame until the next period, so that with 1.5 processors two threads finish some
frames at once and others much later, where one thread takes the same time for each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import whole
from veca_edge.sensors.cores import CPUS, little_cores
from veca_edge.sensors.sysfs import parse_int, read_int, read_text, under

MOST = 64  # threads on a machine with fewer processors; XNNPACK would start any number
BIG = 0.75  # of the fastest core's capacity; little cores have half of it or less
USUAL = ("max", "100000")  # what the kernel takes for a quota and a period, the latter in microseconds
GROUPS = "/proc/self/cgroup"
# Where systems mount the groups: of version 2, and of version 1 with its processor controller.
UNIFIED = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
SEPARATE = tuple(f"/sys/fs/cgroup/{name}" for name in ("cpu", "cpu,cpuacct", "cpuacct,cpu"))
SHORTEST, LONGEST = 1_000, 1_000_000  # microseconds: the kernel's limits of a period, and its least quota


def default_threads(sysfs: str | None = None, root: str = "/") -> int:
    """The number of big cores this process may use, at most its quota of processors, at least 1.

    Linux tells each core's part number (on Arm: those known as little do not count), its relative capacity
    (`cpu_capacity`, on Arm) or its highest clock; cores with at least three quarters of the best value count as
    big. Where none of these is known every usable core counts.

    Args:
        sysfs: the folder of the kernel's cpu0, cpu1, …, if it is another than below the root.
        root: what stands for /.
    """
    sysfs = sysfs or under(root, CPUS)
    big, quota = _big_cores(sysfs, root), cpu_quota(root)
    return max(1, big if quota is None else min(big, quota))


def _big_cores(sysfs: str, root: str) -> int:
    usable = usable_cores()
    little = little_cores(usable, root, sysfs)
    usable = [core for core in usable if core not in little]
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        values = [read_int(f"{sysfs}/cpu{core}/{name}") for core in usable]
        known = [value for value in values if value and value > 0]
        if len(known) == len(usable):
            return sum(value >= BIG * max(known) for value in known)
    return len(usable)


def cpu_quota(root: str = "/") -> int | None:
    """Whole processors' worth of time that the control groups of this process grant, 0 for less than one.

    The least of its own group and of all those around it; None without any limit. What the kernel would refuse as
    a limit is none.
    """
    quotas = [quota for folder in _groups(root) if (quota := _group_quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: str) -> Iterator[str]:
    """The folders of this process' control groups, from the outermost in."""
    try:
        lines = Path(under(root, GROUPS)).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    # In a container the outermost folder is its own group, whatever its path is called outside.
    for line in ("0::/", "0:cpu:/", *lines):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mounts = UNIFIED if not controllers else SEPARATE if "cpu" in controllers.split(",") else ()
        for mount in mounts:
            folder = under(root, mount)
            yield folder
            for part in filter(None, path.split("/")):
                folder = f"{folder}/{part}"
                yield folder


def _group_quota(folder: str) -> int | None:
    """Whole processors' worth of time of one group, of either version; None without a limit that makes sense."""
    text = read_text(f"{folder}/cpu.max")
    if text is not None:
        quota, period, *_ = *text.split(), *USUAL[len(text.split()) :]
        return _processors(parse_int(quota), parse_int(period))
    return _processors(read_int(f"{folder}/cpu.cfs_quota_us"), read_int(f"{folder}/cpu.cfs_period_us"))


def _processors(quota: int | None, period: int | None) -> int | None:
    if quota is None or period is None or quota < SHORTEST or not SHORTEST <= period <= LONGEST:
        return None
    return quota // period


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
