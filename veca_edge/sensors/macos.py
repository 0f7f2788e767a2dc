"""macOS without any package: thermal pressure from the system library, the rest from `pmset`.

Source: pmset(1); OSThermalNotification.h (pressure: nominal 0, moderate 1, heavy 2, trapping 3, sleeping 4,
which ProcessInfo shows as nominal, fair, serious and twice critical); notify(3).
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable

from veca_edge.sensors.program import printed_by
from veca_edge.sensors.reading import PlainReader, Reading, Sensed, gather
from veca_edge.sensors.state import ThermalLevel

PMSET = "/usr/bin/pmset"
PRESSURE = "com.apple.system.thermalpressurelevel"
LIBRARY = "/usr/lib/libSystem.B.dylib"
# What a battery itself says comes before the source: a weak charger is one, and the battery runs down all the same.
STATES = {"discharging": False, "charging": True, "charged": True, "finishing charge": True}
LEVELS = {
    0: ThermalLevel.NOMINAL,
    1: ThermalLevel.FAIR,
    2: ThermalLevel.SERIOUS,
    3: ThermalLevel.CRITICAL,
    4: ThermalLevel.CRITICAL,
}


def run_pmset(*arguments: str) -> str:
    """What `pmset -g` with these arguments prints; errors as of `printed_by`."""
    return printed_by(PMSET, "-g", *arguments)


class PmsetReader(PlainReader):
    """Battery, external power, low-power mode, and the speed that Intel Macs limit their processor to.

    Args:
        pmset: runs `pmset -g` with arguments and gives what it prints.
    """

    name = "pmset"
    interval = 30.0  # three processes of a few milliseconds

    def __init__(self, pmset: Callable[..., str] = run_pmset) -> None:
        self._pmset = pmset

    def read(self) -> Reading:
        return gather({"battery": self._battery, "low_power": self._low_power, "frequency": self._speed})

    def _battery(self) -> dict[str, Sensed]:
        text, source = self._pmset("batt"), "pmset -g batt"
        found = {}
        drawn = re.search(r"drawing from '([^']*)'", text)
        charging = drawn.group(1) == "AC Power" if drawn else None
        battery = re.search(r"InternalBattery[^\n]*?(?<!\d)(\d{1,3})%(?:;\s*([^;\n]*))?", text)
        if battery:
            found["battery"] = Sensed(int(battery.group(1)) / 100, source)
            charging = STATES.get((battery.group(2) or "").strip().lower(), charging)
        return found if charging is None else {**found, "charging": Sensed(charging, source)}

    def _low_power(self) -> dict[str, Sensed]:
        low_power = low_power_mode(self._pmset())
        return {} if low_power is None else {"low_power": Sensed(low_power, "pmset -g")}

    def _speed(self) -> dict[str, Sensed]:
        """A processor that does not run at all prints nothing, so 0 is no speed."""
        speed = re.search(r"CPU_Speed_Limit\s*=\s*0*([1-9]\d{0,2})\b", self._pmset("therm"))
        source = "pmset -g therm: CPU_Speed_Limit"
        return {"frequency": Sensed(int(speed.group(1)) / 100, source)} if speed else {}


def low_power_mode(settings: str) -> bool | None:
    """From the settings in use: `lowpowermode` 0 or 1, or `powermode` 0 (automatic), 1 (low), 2 (high)."""
    match = re.search(r"^\s*(?:lowpowermode|powermode)\s+([012])\s*$", settings, re.MULTILINE)
    return match.group(1) == "1" if match else None


class PressureReader(PlainReader):
    """The thermal pressure that the system announces to all programs.

    Args:
        state: gives the number that was last announced under a name, None if none was.
    """

    name = "thermal pressure"

    def __init__(self, state: Callable[[str], int | None] | None = None) -> None:
        self._state = state

    def read(self) -> Reading:
        if self._state is None:
            self._state = Notifications().state
        pressure = self._state(PRESSURE)
        if pressure is None:
            return {}
        return {"thermal": Sensed(LEVELS.get(pressure, pressure), PRESSURE)}


class Notifications:
    """The numbers that the system announces: notify(3).

    Raises:
        OSError: this is not macOS.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        system = ctypes.CDLL(library)
        self._register = system.notify_register_check
        self._register.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)]
        self._register.restype = ctypes.c_uint32
        self._get = system.notify_get_state
        self._get.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_uint64)]
        self._get.restype = ctypes.c_uint32
        self._tokens: dict[str, int] = {}

    def state(self, name: str) -> int | None:
        """The number under a name, None if the system refuses."""
        if name not in self._tokens:
            token = ctypes.c_int()
            if self._register(name.encode(), ctypes.byref(token)):
                return None
            self._tokens[name] = token.value
        number = ctypes.c_uint64()
        return None if self._get(self._tokens[name], ctypes.byref(number)) else number.value
