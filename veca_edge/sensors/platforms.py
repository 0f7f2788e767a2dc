"""Which readers this device has."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec

from veca_edge.sensors.android import AndroidReader, bridge_class
from veca_edge.sensors.apple import ProcessInfoReader
from veca_edge.sensors.ios import DeviceReader
from veca_edge.sensors.linux_cpu import CpufreqReader, EnergyCounters, PowercapReader
from veca_edge.sensors.linux_power import PowerSupplyReader
from veca_edge.sensors.linux_thermal import ThermalReader
from veca_edge.sensors.macos import PmsetReader, PressureReader
from veca_edge.sensors.psutil_reader import PsutilReader
from veca_edge.sensors.raspberry_pi import ThrottledReader, is_raspberry_pi
from veca_edge.sensors.reading import Reader
from veca_edge.sensors.windows import PowerStatusReader


def detect(platform: str | None = None, root: str = "/") -> list[Reader]:
    """The readers for a platform, best first; no platform bridge is imported before the first read.

    Args:
        platform: "linux", "android", "darwin", "ios", "win32" or another of `sys.platform`'s; this one if not
            given.
        root: what stands for / on Linux.
    """
    platform = platform or this_platform()
    if platform == "linux":
        return linux_readers(root)
    if platform == "android":
        connect = bridge_class()
        return [AndroidReader(connect), CpufreqReader(root)] if connect else linux_readers(root)
    if platform == "ios":
        return [ProcessInfoReader(), DeviceReader()] if _has("rubicon") else []
    psutil: list[Reader] = [PsutilReader()] if _has("psutil") else []
    if platform == "darwin":
        process_info: list[Reader] = [ProcessInfoReader()] if _has("Foundation") or _has("rubicon") else []
        return [*process_info, PressureReader(), *psutil, PmsetReader()]
    if platform == "win32":
        return [PowerStatusReader(), *psutil]
    return psutil


def linux_readers(root: str = "/") -> list[Reader]:
    """The kernel's own files; psutil has nothing to add to them."""
    board: list[Reader] = [ThrottledReader(root)] if is_raspberry_pi(root) else []
    # Powercap comes before the batteries: the power of the package is known on mains as well.
    return [*board, ThermalReader(root), CpufreqReader(root), PowercapReader(root), PowerSupplyReader(root)]


def energy_meter(root: str = "/") -> Callable[[], float | None]:
    """What tells the joules that the processor has used since it was last asked, None where no counter tells them.

    Only powercap's counters are exact over a tenth of a second; a battery's gauge moves once in many seconds.

    Args:
        root: what stands for / on Linux.
    """
    counters = EnergyCounters(root)

    def joules() -> float | None:
        try:
            return counters.joules() if counters.find() else None
        except OSError:  # not for this user
            return None

    return joules


def this_platform() -> str:
    """`sys.platform`; "android" also where it calls itself Linux (python-for-android, Python before 3.13)."""
    android = hasattr(sys, "getandroidapilevel") or "ANDROID_ARGUMENT" in os.environ
    return "android" if android else sys.platform


def _has(module: str) -> bool:
    return find_spec(module) is not None
