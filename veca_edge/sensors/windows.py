"""Windows: battery, external power and battery saver.

Source: Microsoft's documentation of `GetSystemPowerStatus` and SYSTEM_POWER_STATUS: ACLineStatus 0 offline, 1
online, 255 unknown; BatteryFlag has bit 8 while charging and bit 128 without a battery, 255 is unknown;
BatteryLifePercent 0..100, 255 unknown; SystemStatusFlag 1 while battery saver is on (Windows 10 and later; 0
before); BatteryLifeTime in seconds, 2³² − 1 if unknown or on external power.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from veca_edge.sensors.reading import PlainReader, Reading, Sensed

UNKNOWN = 255
CHARGING = 8
NO_BATTERY = 128
NO_TIME = 2**32 - 1
SOURCE = "GetSystemPowerStatus"


class PowerStatus(ctypes.Structure):
    """SYSTEM_POWER_STATUS."""

    line: int
    battery_flag: int
    percent: int
    saver: int
    life_time: int
    _fields_ = (
        ("line", ctypes.c_ubyte),
        ("battery_flag", ctypes.c_ubyte),
        ("percent", ctypes.c_ubyte),
        ("saver", ctypes.c_ubyte),
        ("life_time", ctypes.c_uint32),
        ("full_life_time", ctypes.c_uint32),
    )


def query() -> PowerStatus:
    """Ask Windows.

    Raises:
        OSError: it refuses.
        AttributeError: this is not Windows.
    """
    status = PowerStatus()
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    if not kernel.GetSystemPowerStatus(ctypes.byref(status)):
        raise OSError("GetSystemPowerStatus failed")
    return status


class PowerStatusReader(PlainReader):
    """What one cheap call tells.

    Args:
        query: makes the call.
    """

    name = "power status"

    def __init__(self, query: Callable[[], PowerStatus] = query) -> None:
        self._query = query

    def read(self) -> Reading:
        status = self._query()
        found = {}
        charging = external_power(status)
        if charging is not None:
            found["charging"] = Sensed(charging, SOURCE)
        there = status.battery_flag != UNKNOWN and not status.battery_flag & NO_BATTERY
        if there and status.percent != UNKNOWN:
            found["battery"] = Sensed(status.percent / 100, SOURCE)
        found["low_power"] = Sensed(status.saver == 1, SOURCE)
        return found


def external_power(status: PowerStatus) -> bool | None:
    """Whether something else than the battery powers the device: the battery's own word comes before the line's."""
    if status.battery_flag != UNKNOWN and not status.battery_flag & NO_BATTERY:
        if status.battery_flag & CHARGING:
            return True
        if 0 < status.life_time < NO_TIME:
            return False  # it has a time to run down in, which a plugged one has not
    return {0: False, 1: True}.get(status.line)
