"""Android: PowerManager and BatteryManager, from Python on the phone through Chaquopy's or pyjnius' bridge.

Source: Android's reference. `PowerManager.getCurrentThermalStatus()` (API 29): none 0, light 1, moderate 2,
severe 3, critical 4, emergency 5, shutdown 6. `getThermalHeadroom(int forecastSeconds)` (API 30): 1.0 is
severe; NaN if unsupported or asked more often than about once a second. `isPowerSaveMode()` (21).
`BatteryManager.getIntProperty` (21): MIN_VALUE if unsupported. The ACTION_BATTERY_CHANGED broadcast: `plugged`
0 on battery, `status` 2 charging, 3 discharging, 5 full, `temperature` in tenths of a degree Celsius.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from veca_edge.numbers import divided
from veca_edge.sensors.reading import Reading, Sensed, gather
from veca_edge.sensors.state import ThermalLevel

LEVELS = {
    0: ThermalLevel.NOMINAL,
    1: ThermalLevel.FAIR,  # light and moderate: nothing that a user would notice
    2: ThermalLevel.FAIR,
    3: ThermalLevel.SERIOUS,
    4: ThermalLevel.CRITICAL,
    5: ThermalLevel.CRITICAL,
    6: ThermalLevel.CRITICAL,
}
FORECAST = 10  # seconds ahead
HEADROOM_PAUSE = 1.0  # seconds between two questions for headroom, whichever they are
HEADROOM_AGE = 5.0  # seconds that an answer is worth something while later ones are NaN
CAPACITY = 4  # BATTERY_PROPERTY_CAPACITY: percent
MIN_VALUE = -(2**31)
STATUS = {2: True, 3: False, 5: True}  # what the battery itself says comes before the plug
BATTERY_CHANGED = "android.intent.action.BATTERY_CHANGED"


class Bridge(Protocol):
    """A way from Python to Android's Java objects."""

    name: str

    def service(self, name: str, kind: str) -> Any:
        """A system service, by its name in Context and its class."""

    def battery_intent(self) -> Any:
        """The newest ACTION_BATTERY_CHANGED intent, or None."""

    def detach(self) -> None:
        """Detach this thread from the Java machine, before the thread ends."""


class Chaquopy:
    """The bridge of apps built with Chaquopy (and so of BeeWare's)."""

    name = "Chaquopy"

    def __init__(self) -> None:
        self._java = import_module("java")
        self._context = self._java.jclass("com.chaquo.python.Python").getPlatform().getApplication()

    def service(self, name: str, kind: str) -> Any:
        return self._java.cast(self._java.jclass(kind), self._context.getSystemService(name))

    def battery_intent(self) -> Any:
        filters = self._java.jclass("android.content.IntentFilter")(BATTERY_CHANGED)
        return self._context.registerReceiver(None, filters)

    def detach(self) -> None:
        self._java.detach()


class Pyjnius:
    """The bridge of apps built with python-for-android."""

    name = "pyjnius"

    def __init__(self) -> None:
        self._jnius = import_module("jnius")
        activity = self._jnius.autoclass("org.kivy.android.PythonActivity").mActivity
        self._context = activity or self._jnius.autoclass("org.kivy.android.PythonService").mService

    def service(self, name: str, kind: str) -> Any:
        return self._jnius.cast(kind, self._context.getSystemService(name))

    def battery_intent(self) -> Any:
        filters = self._jnius.autoclass("android.content.IntentFilter")(BATTERY_CHANGED)
        return self._context.registerReceiver(None, filters)

    def detach(self) -> None:
        self._jnius.detach()


def bridge_class() -> Callable[[], Bridge] | None:
    """The bridge that this app was built with, None if there is none."""
    if find_spec("java") is not None:
        return Chaquopy
    return Pyjnius if find_spec("jnius") is not None else None


class AndroidReader:
    """Thermal status, headroom and its forecast, battery, power save.

    Args:
        connect: makes the bridge; called at the first read, in the reading thread.
        clock: seconds.
    """

    name = "Android"
    interval = 1.0

    def __init__(self, connect: Callable[[], Bridge], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect, self._clock = connect, clock
        self._bridge: Bridge | None = None
        self._power: Any = None
        self._battery: Any = None
        self._asked = -math.inf
        self._next = 0
        self._answers: dict[int, tuple[float, float]] = {}  # forecast seconds: when, headroom

    def read(self) -> Reading:
        if self._bridge is None:
            bridge = self._connect()
            self._power = bridge.service("power", "android.os.PowerManager")
            self._battery = bridge.service("batterymanager", "android.os.BatteryManager")
            self._bridge = bridge
        return gather(
            {
                "low_power": self._low_power,
                "thermal": self._thermal,
                "headroom": self._headrooms,
                "battery": self._level,
                "charging": self._broadcast,
            }
        )

    def close(self) -> None:
        if self._bridge is not None:
            self._bridge.detach()

    def _low_power(self) -> dict[str, Sensed]:
        return {"low_power": Sensed(bool(self._power.isPowerSaveMode()), "PowerManager.isPowerSaveMode")}

    def _thermal(self) -> dict[str, Sensed]:
        try:
            status = int(self._power.getCurrentThermalStatus())
        except AttributeError:  # before API 29
            return {}
        return {"thermal": Sensed(LEVELS.get(status, status), "PowerManager.getCurrentThermalStatus")}

    def _headrooms(self) -> dict[str, Sensed]:
        """Headroom now and ahead, asked in turn: a second question within the same second gets NaN."""
        now = self._clock()
        if now - self._asked >= HEADROOM_PAUSE:
            try:
                answer = float(self._power.getThermalHeadroom(self._next))
            except AttributeError:  # before API 30
                return {}
            except Exception:  # of one question; the other one may be answered
                answer = math.nan
            self._asked = now
            if not math.isnan(answer):
                self._answers[self._next] = now, answer
            self._next = FORECAST - self._next
        found = {}
        for field, ahead in (("headroom", 0), ("forecast", FORECAST)):
            when, answer = self._answers.get(ahead, (-math.inf, math.nan))
            value = answer if now - when <= HEADROOM_AGE else None
            found[field] = Sensed(value, f"PowerManager.getThermalHeadroom({ahead})")
        return found

    def _level(self) -> dict[str, Sensed]:
        percent = int(self._battery.getIntProperty(CAPACITY))
        level = None if percent == MIN_VALUE else divided(percent, 100)
        return {"battery": Sensed(level, "BatteryManager.BATTERY_PROPERTY_CAPACITY")}

    def _broadcast(self) -> dict[str, Sensed]:
        """External power and the battery's temperature.

        The current is left out: makers disagree on its sign and unit, so watts made from it would be guesses.
        """
        intent = None if self._bridge is None else self._bridge.battery_intent()
        if intent is None:
            return {"charging": Sensed(bool(self._battery.isCharging()), "BatteryManager.isCharging")}
        return gather({"charging": partial(_charging, intent), "temperatures": partial(_temperature, intent)})


def _charging(intent: Any) -> dict[str, Sensed]:
    status = int(intent.getIntExtra("status", -1))
    if status in STATUS:
        return {"charging": Sensed(STATUS[status], f"{BATTERY_CHANGED}: status")}
    plugged = int(intent.getIntExtra("plugged", -1))
    return {"charging": Sensed(plugged > 0 if plugged >= 0 else None, f"{BATTERY_CHANGED}: plugged")}


def _temperature(intent: Any) -> dict[str, Sensed]:
    tenths = int(intent.getIntExtra("temperature", MIN_VALUE))
    if tenths in (0, MIN_VALUE):  # 0: phones without such a sensor
        return {}
    return {"temperatures": Sensed((("battery", divided(tenths, 10)),), f"{BATTERY_CHANGED}: temperature")}
