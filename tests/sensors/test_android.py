"""Stand-ins that follow Android's reference: constants, NaN for haste, MIN_VALUE for missing properties."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import Clock
from tests.sensors.conftest import values
from veca_edge.sensors.android import FORECAST, HEADROOM_AGE, AndroidReader, Chaquopy, Pyjnius, bridge_class
from veca_edge.sensors.plausible import PlausibilityFilter
from veca_edge.sensors.state import ThermalLevel

NOMINAL, FAIR, SERIOUS, CRITICAL = ThermalLevel


class PowerManager:
    """Gives NaN to a second question within half a second, whichever it is."""

    def __init__(
        self, clock: Clock, status: int = 0, save: bool = False, headrooms: tuple[float, float] = (0.5, 0.7)
    ) -> None:
        self._clock, self._status, self._save = clock, status, save
        self.headrooms = headrooms
        self._last = -math.inf
        self.asked: list[tuple[float, int]] = []

    def isPowerSaveMode(self) -> bool:  # noqa: N802 - Android's names
        return self._save

    def getCurrentThermalStatus(self) -> int:  # noqa: N802
        return self._status

    def getThermalHeadroom(self, seconds: int) -> float:  # noqa: N802
        self.asked.append((self._clock(), seconds))
        hasty, self._last = self._clock() - self._last < 0.5, self._clock()
        return math.nan if hasty else self.headrooms[seconds == FORECAST]


class OldPowerManager:
    """Before API 29."""

    def isPowerSaveMode(self) -> bool:  # noqa: N802
        return True


class BatteryManager:
    def __init__(self, percent: int = 80, charging: bool = False) -> None:
        self._percent, self._charging = percent, charging

    def getIntProperty(self, number: int) -> int:  # noqa: N802
        assert number == 4  # BATTERY_PROPERTY_CAPACITY
        return self._percent

    def isCharging(self) -> bool:  # noqa: N802
        return self._charging


class Intent:
    def __init__(self, **extras: int) -> None:
        self._extras = extras

    def getIntExtra(self, name: str, default: int) -> int:  # noqa: N802
        return self._extras.get(name, default)


class Bridge:
    name = "stand-in"

    def __init__(
        self,
        power: OldPowerManager | PowerManager,
        battery: BatteryManager | None = None,
        intent: Intent | None = None,
    ) -> None:
        self._services = {
            ("power", "android.os.PowerManager"): power,
            ("batterymanager", "android.os.BatteryManager"): battery or BatteryManager(),
        }
        self._intent, self.detached = intent, 0

    def service(self, name: str, kind: str) -> BatteryManager | OldPowerManager | PowerManager:
        return self._services[name, kind]

    def battery_intent(self) -> Intent | None:
        return self._intent

    def detach(self) -> None:
        self.detached += 1


def reader_of(bridge: Bridge, clock: Clock) -> AndroidReader:
    return AndroidReader(lambda: bridge, clock)


@pytest.mark.parametrize(
    ("status", "level"),
    [(0, NOMINAL), (1, FAIR), (2, FAIR), (3, SERIOUS), (4, CRITICAL), (5, CRITICAL), (6, CRITICAL)],
)
def test_thermal_status(clock: Clock, status: int, level: ThermalLevel) -> None:
    assert values(reader_of(Bridge(PowerManager(clock, status)), clock))["thermal"] is level


def test_a_status_that_is_not_documented_is_unknown(clock: Clock, told: list[str]) -> None:
    reading = reader_of(Bridge(PowerManager(clock, -1)), clock).read()
    assert PlausibilityFilter("Android", told.append)(reading)["thermal"].value is None
    assert len(told) == 1


def test_headroom_and_forecast_take_turns_and_never_hurry(clock: Clock) -> None:
    power = PowerManager(clock)
    reader = reader_of(Bridge(power), clock)
    first = values(reader)
    assert (first["headroom"], first["forecast"]) == (0.5, None)
    for _ in range(12):
        clock.advance(0.25)
        last = values(reader)
    assert (last["headroom"], last["forecast"]) == (0.5, 0.7)
    times = [when for when, _ in power.asked]
    assert min(b - a for a, b in pairwise(times)) >= 1.0
    assert [seconds for _, seconds in power.asked] == [0, FORECAST, 0, FORECAST]


def test_nan_is_unknown_once_the_last_answer_is_old(clock: Clock, told: list[str]) -> None:
    power = PowerManager(clock)
    reader = reader_of(Bridge(power), clock)
    reader.read()
    power.headrooms = (math.nan, math.nan)
    clean = PlausibilityFilter("Android", told.append)
    clock.advance(HEADROOM_AGE)
    assert clean(reader.read())["headroom"].value == 0.5
    clock.advance(0.5)
    found = clean(reader.read())
    assert (found["headroom"].value, found["forecast"].value, told) == (None, None, [])


def test_old_phones_tell_less(clock: Clock) -> None:
    found = values(reader_of(Bridge(OldPowerManager()), clock))
    assert found == {"low_power": True, "battery": 0.8, "charging": False}


@pytest.mark.parametrize(
    ("percent", "extras", "battery", "charging", "temperatures"),
    [
        (80, {"plugged": 0, "temperature": 314}, 0.8, False, (("battery", 31.4),)),
        (100, {"plugged": 2, "temperature": 250}, 1.0, True, (("battery", 25.0),)),
        (5, {"plugged": 4}, 0.05, True, None),
        (9, {"plugged": 2, "status": 3}, 0.09, False, None),  # a plug that feeds nothing
        (9, {"plugged": 0, "status": 2}, 0.09, True, None),
        (50, {"plugged": 1, "status": 4, "temperature": 0}, 0.5, True, None),
        (-(2**31), {}, None, None, None),
    ],
)
def test_battery(
    clock: Clock,
    told: list[str],
    percent: int,
    extras: dict[str, Any],
    battery: float | None,
    charging: bool | None,
    temperatures: tuple[tuple[str, float]] | None,
) -> None:
    bridge = Bridge(PowerManager(clock), BatteryManager(percent), Intent(**extras))
    found = PlausibilityFilter("Android", told.append)(reader_of(bridge, clock).read())
    assert (found["battery"].value, found["charging"].value) == (battery, charging)
    assert (found["temperatures"].value if "temperatures" in found else None) == temperatures
    assert told == []


def test_without_the_broadcast_the_manager_is_asked(clock: Clock) -> None:
    bridge = Bridge(PowerManager(clock), BatteryManager(charging=True), intent=None)
    assert values(reader_of(bridge, clock))["charging"] is True


def test_the_thread_is_detached_in_the_end(clock: Clock) -> None:
    bridge = Bridge(PowerManager(clock))
    reader = reader_of(bridge, clock)
    reader.close()
    assert bridge.detached == 0  # nothing was attached
    reader.read()
    reader.close()
    assert bridge.detached == 1


class Context:
    def getSystemService(self, name: str) -> str:  # noqa: N802
        return f"service {name}"

    def registerReceiver(self, receiver: None, filters: str) -> tuple[None, str]:  # noqa: N802
        return receiver, filters


def java_classes(name: str) -> Any:
    """Both bridges give classes by name; the same few stand behind them."""
    context = Context()
    return {
        "com.chaquo.python.Python": SimpleNamespace(
            getPlatform=lambda: SimpleNamespace(getApplication=lambda: context)
        ),
        "org.kivy.android.PythonActivity": SimpleNamespace(mActivity=None),
        "org.kivy.android.PythonService": SimpleNamespace(mService=context),
        "android.content.IntentFilter": lambda action: f"filter {action}",
        "android.os.PowerManager": "the class",
    }[name]


@pytest.mark.parametrize("module", ["java", "jnius"])
def test_the_real_bridges_find_services(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    calls = []
    fake = SimpleNamespace(
        __spec__=SimpleNamespace(),
        jclass=java_classes,
        autoclass=java_classes,
        cast=lambda kind, thing: (kind, thing),
        detach=lambda: calls.append("detach"),
    )
    monkeypatch.setitem(sys.modules, module, fake)
    make = bridge_class()
    assert make is {"java": Chaquopy, "jnius": Pyjnius}[module]
    bridge: Any = make()
    kind = "the class" if module == "java" else "android.os.PowerManager"
    assert bridge.service("power", "android.os.PowerManager") == (kind, "service power")
    assert bridge.battery_intent() == (None, "filter android.intent.action.BATTERY_CHANGED")
    bridge.detach()
    assert calls == ["detach"]


def test_without_a_bridge_there_is_none() -> None:
    assert bridge_class() is None


@pytest.mark.parametrize("broken", ["isPowerSaveMode", "getCurrentThermalStatus", "getThermalHeadroom"])
@pytest.mark.parametrize("answer", [None, "nonsense", OSError("denied"), 10**400])
def test_one_broken_value_is_unknown_by_itself(clock: Clock, told: list[str], broken: str, answer: Any) -> None:
    def call(*_: int) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    power = PowerManager(clock, status=3)
    setattr(power, broken, call)
    bridge = Bridge(power, intent=Intent(plugged=2, temperature=300))
    found = PlausibilityFilter("Android", told.append)(reader_of(bridge, clock).read())
    good = {"battery": 0.8, "charging": True, "thermal": SERIOUS, "headroom": 0.5, "low_power": False}
    field = {"isPowerSaveMode": "low_power", "getCurrentThermalStatus": "thermal"}.get(broken, "headroom")
    del good[field]
    assert {name: found[name].value for name in good} == good
    assert found[field].value is None or field == "low_power"
