"""The machine that this runs on: its processor, and how busy it is with other things."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

BUSY_OTHERS = 0.25  # processors' worth of other work at which it is likely to show in timings
STAT = Path("/proc/stat")


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name; Linux on Arm often knows only the board's."""
    board = Path("/proc/device-tree/model")
    try:
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() in ("model name", "hardware") and value.strip():
                return value.strip()
        return board.read_text().strip("\0\n ")
    except OSError:
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
