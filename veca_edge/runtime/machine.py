"""The machine that this runs on: its processor and software, and how busy it is with other things."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from veca_edge._version import __version__
from veca_edge.runtime.threads import usable_cores
from veca_edge.sensors.sysfs import LABEL, read_label

BUSY_LOAD = 0.5  # load average at which other work is likely to show in timings
BUSY_OTHERS = 0.25  # processors' worth of other work at which it is likely to show in timings
STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Machine:
    """The machine and the software.

    Attributes:
        processor: its name, or its architecture where the system does not tell more.
        usable_cores: logical processors this process may use.
        system: operating system and architecture.
        versions: of python, veca-edge, numpy, torch, executorch, and what is compared with, if installed.
        load_average: of the last minute before any work of ours, None where the system keeps none.
    """

    processor: str
    usable_cores: int
    system: str
    versions: dict[str, str]
    load_average: float | None


def read_machine(packages: Sequence[str] = ()) -> Machine:
    """Look at the machine; call it before any work, so that the load average is that of others.

    Args:
        packages: whose versions matter beside those that always do.
    """
    return Machine(
        processor=processor_name(),
        usable_cores=len(usable_cores()),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions=_versions(packages),
        load_average=_load_average(),
    )


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {"python": platform.python_version(), "veca-edge": __version__}
    for name in ("numpy", "torch", "executorch", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo"), board: Path = Path("/proc/device-tree/model")) -> str:
    """The board's name where there is a device tree, else the processor's.

    Linux on Arm often names no processor, and its `Hardware` is that of a family (BCM2835 on every Raspberry Pi).
    """
    name = read_label(str(board))
    if name is not None:
        return name
    try:
        facts = [line.partition(":") for line in cpuinfo.read_text(errors="replace").splitlines()]
    except OSError:
        facts = []
    for wanted in ("model name", "hardware"):
        for fact, _, value in facts:
            if fact.strip().lower() == wanted and value.strip():
                return value.strip()[:LABEL]
    return platform.processor() or platform.machine() or "unknown processor"


class OthersClock:
    """Counts the processor time that others use between its making and `cores`; Linux only."""

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._start = time.perf_counter()
        self._busy, self._own = _busy_seconds(stat), _own_seconds()

    def cores(self) -> float | None:
        """Processors' worth of work by others (other programs, other guests of the same host), or None."""
        busy, elapsed = _busy_seconds(self._stat), time.perf_counter() - self._start
        if busy is None or self._busy is None or busy <= self._busy or elapsed <= 0:
            return None
        return max(0.0, (busy - self._busy - (_own_seconds() - self._own)) / elapsed)


def _busy_seconds(stat: Path) -> float | None:
    """Time that all processors together spent on anything but waiting, since the system's start."""
    try:
        values = [int(text) for text in stat.read_text().split("\n", 1)[0].split()[1:]]
        user, nice, system, _idle, _waiting, hard, soft, stolen = values[:8]
    except (OSError, ValueError):
        return None
    return (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system
