"""iOS: the battery from UIDevice, through rubicon-objc.

Source: Apple's documentation of `UIDevice`: `batteryLevel` is 0..1, or -1 while unknown; `batteryState` is
unknown 0, unplugged 1, charging 2, full 3; both are unknown until `batteryMonitoringEnabled` is set. In the
simulator they stay so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from veca_edge.sensors.apple import load_class, value_of
from veca_edge.sensors.reading import PlainReader, Reading, Sensed, gather

UNKNOWN_STATE, UNPLUGGED, CHARGING, FULL = range(4)
UNKNOWN_LEVEL = -1.0


class DeviceReader(PlainReader):
    """Battery level, and whether the device is plugged in.

    Args:
        load: finds an Objective-C class by its name.
    """

    name = "UIDevice"
    interval = 5.0

    def __init__(self, load: Callable[[str], Any] = load_class) -> None:
        self._load = load
        self._device: Any = None

    def read(self) -> Reading:
        if self._device is None:
            device = value_of(self._load("UIDevice"), "currentDevice")
            device.batteryMonitoringEnabled = True
            self._device = device
        return gather({"battery": self._level, "charging": self._state})

    def _level(self) -> dict[str, Sensed]:
        level = value_of(self._device, "batteryLevel")
        # -1 is Apple's word for unknown, not a lie.
        return {"battery": Sensed(None if level == UNKNOWN_LEVEL else level, "UIDevice.batteryLevel")}

    def _state(self) -> dict[str, Sensed]:
        state = int(value_of(self._device, "batteryState"))
        plugged = {UNPLUGGED: False, CHARGING: True, FULL: True}.get(state)
        return {"charging": Sensed(plugged, "UIDevice.batteryState")}
