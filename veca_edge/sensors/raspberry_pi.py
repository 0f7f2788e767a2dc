"""Raspberry Pi: the firmware's throttling flags.

Source: Raspberry Pi documentation, `vcgencmd get_throttled` (bits 0-3 now, 16-19 since the start), and
raspberrypi/linux pull request 2397, which shows the same number as a file in sysfs; the hwmon driver `rpi_volt`
(Documentation/hwmon/raspberrypi-hwmon.rst) shows bit 0 alone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from veca_edge.sensors.program import printed_by
from veca_edge.sensors.reading import PlainReader, Reading, Sensed
from veca_edge.sensors.state import ThermalLevel
from veca_edge.sensors.sysfs import entries, read_int, read_text, under

MODEL = "/proc/device-tree/model"
FLAGS = "sys/devices/platform/soc*/soc*firmware/get_throttled"  # the node's name has an address on some models
HWMON = "/sys/class/hwmon"
TOOL = "vcgencmd"

UNDER_VOLTAGE = 1 << 0
CAPPED = 1 << 1  # the frequency, from 80 °C on or while the voltage is low
THROTTLED = 1 << 2  # the same causes, stronger
SOFT_LIMIT = 1 << 3  # of temperature, 60 °C on a 3B+
DEFINED = 0xF000F  # these, and the same ones since the start


def is_raspberry_pi(root: str = "/") -> bool:
    """Whether the board says so."""
    return "Raspberry Pi" in (read_text(under(root, MODEL)) or "")


def run_tool() -> str | None:
    """What `vcgencmd get_throttled` prints, None if there is no such tool; errors as of `printed_by`."""
    tool = shutil.which(TOOL)
    return None if tool is None else printed_by(tool, "get_throttled")


class ThrottledReader(PlainReader):
    """A thermal level from the flags.

    They say that the board is slowed, not that it is about to give up: critical comes from the trip points alone.

    Args:
        tool: prints the flags, for kernels that do not show them as a file.
    """

    name = "Raspberry Pi firmware"

    def __init__(self, root: str = "/", tool: Callable[[], str | None] = run_tool) -> None:
        self._root, self._tool = root, tool
        self._file = next(map(str, sorted(Path(root).glob(FLAGS))), None)
        self.interval = 1.0 if self._file else 10.0  # a process per look is not cheap

    def read(self) -> Reading:
        flags, source = self._flags()
        if flags is None:
            if self._low_voltage_alarm():
                return {"thermal": Sensed(None, f"{HWMON}: under-voltage")}
            return {}
        if flags & UNDER_VOLTAGE:
            source += ", under-voltage: the board needs a stronger power supply"
        return {"thermal": Sensed(thermal_level(flags), source)}

    def _flags(self) -> tuple[int | None, str]:
        if self._file is not None:
            return parse_flags(read_text(self._file) or ""), self._file.removeprefix(self._root.rstrip("/"))
        return parse_flags(self._tool() or ""), f"{TOOL} get_throttled"

    def _low_voltage_alarm(self) -> bool:
        folders = entries(under(self._root, HWMON))
        alarms = [path for _, path in folders if read_text(f"{path}/name") == "rpi_volt"]
        return any(read_int(f"{path}/in0_lcrit_alarm") == 1 for path in alarms)


def parse_flags(text: str) -> int | None:
    """The number in `throttled=0x50005` or `50005` (hexadecimal both), None if there is none or it says more."""
    match = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", text.strip())
    flags = int(match.group(1), 16) if match else None
    return None if flags is None or flags & ~DEFINED else flags


def thermal_level(flags: int) -> ThermalLevel | None:
    """The level that the flags of this moment tell; None if it may be the voltage that slows the board."""
    if flags & (CAPPED | THROTTLED) and not flags & UNDER_VOLTAGE:
        return ThermalLevel.SERIOUS
    if flags & SOFT_LIMIT:
        return ThermalLevel.FAIR
    return None if flags & (CAPPED | THROTTLED) else ThermalLevel.NOMINAL
