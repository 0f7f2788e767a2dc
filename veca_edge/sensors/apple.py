"""What macOS and iOS have in common: NSProcessInfo.

Source: Apple's documentation of `ProcessInfo.thermalState` (NSProcessInfoThermalState: nominal 0, fair 1,
serious 2, critical 3) and `isLowPowerModeEnabled` (iOS 9, macOS 12).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from veca_edge.sensors.reading import PlainReader, Reading, Sensed, gather
from veca_edge.sensors.state import ThermalLevel


def value_of(thing: Any, *names: str) -> Any:
    """An Objective-C property by the first of its names that exists, None if there is none.

    rubicon-objc gives declared properties as attributes, pyobjc gives their getters as methods.
    """
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found() if callable(found) else found
    return None


def load_class(name: str) -> Any:
    """An Objective-C class through pyobjc's Foundation, else through rubicon-objc.

    Raises:
        ImportError: neither is installed.
        NameError: there is no such class.
    """
    try:
        return getattr(import_module("Foundation"), name)
    except (ImportError, AttributeError):
        return import_module("rubicon.objc").ObjCClass(name)


class ProcessInfoReader(PlainReader):
    """Thermal state and low-power mode.

    Args:
        load: finds an Objective-C class by its name.
    """

    name = "ProcessInfo"

    def __init__(self, load: Callable[[str], Any] = load_class) -> None:
        self._load = load
        self._info: Any = None

    def read(self) -> Reading:
        if self._info is None:
            self._info = value_of(self._load("NSProcessInfo"), "processInfo")
        return gather({"thermal": self._thermal, "low_power": self._low_power})

    def _thermal(self) -> dict[str, Sensed]:
        state = value_of(self._info, "thermalState")
        return {} if state is None else {"thermal": Sensed(as_level(state), "ProcessInfo.thermalState")}

    def _low_power(self) -> dict[str, Sensed]:
        low_power = value_of(self._info, "isLowPowerModeEnabled", "lowPowerModeEnabled")
        source = "ProcessInfo.isLowPowerModeEnabled"
        return {} if low_power is None else {"low_power": Sensed(bool(low_power), source)}


def as_level(state: Any) -> Any:
    """Apple's number as a level; any other number stays what it is, for the plausibility filter to see."""
    return ThermalLevel(int(state)) if int(state) in list(ThermalLevel) else state
