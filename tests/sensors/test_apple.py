"""Stand-ins that follow Apple's documentation: properties as rubicon-objc gives them, methods as pyobjc does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sensors.conftest import values
from veca_edge.sensors.apple import ProcessInfoReader, load_class
from veca_edge.sensors.ios import DeviceReader
from veca_edge.sensors.macos import Notifications, PmsetReader, PressureReader, low_power_mode
from veca_edge.sensors.plausible import PlausibilityFilter
from veca_edge.sensors.state import ThermalLevel

ON_BATTERY = """Now drawing from 'Battery Power'
 -InternalBattery-0 (id=4653155)\t85%; discharging; 5:22 remaining present: true
"""
ON_MAINS = """Now drawing from 'AC Power'
 -InternalBattery-0 (id=4653155)\t100%; charged; 0:00 remaining present: true
"""
NO_BATTERY = "Now drawing from 'AC Power'\n"
NO_WARNING = """Note: No thermal warning level has been recorded
Note: No performance warning level has been recorded
"""
LIMITED = NO_WARNING + (
    "2020-11-24 13:10:40 +0100 CPU Power notify\n"
    "\tCPU_Scheduler_Limit \t= 100\n\tCPU_Available_CPUs \t= 8\n\tCPU_Speed_Limit \t= 35\n"
)
SETTINGS = "System-wide power settings:\nCurrently in use:\n standby              1\n lowpowermode         {}\n"


def with_properties(state: int, low: bool) -> Callable[..., Any]:
    """As rubicon-objc: `isLowPowerModeEnabled` is the getter's name, so it is a method."""
    info = SimpleNamespace(thermalState=state, isLowPowerModeEnabled=lambda: low)
    return {"NSProcessInfo": SimpleNamespace(processInfo=info)}.__getitem__


def with_methods(state: int, low: bool) -> Callable[..., Any]:
    """As pyobjc: all are methods."""
    info = SimpleNamespace(thermalState=lambda: state, isLowPowerModeEnabled=lambda: low)
    return {"NSProcessInfo": SimpleNamespace(processInfo=lambda: info)}.__getitem__


@pytest.mark.parametrize("bridge", [with_properties, with_methods])
@pytest.mark.parametrize("level", list(ThermalLevel))
@pytest.mark.parametrize("low", [False, True])
def test_process_info(bridge: Callable[..., Any], level: ThermalLevel, low: bool) -> None:
    reading = ProcessInfoReader(bridge(int(level), low)).read()
    assert (reading["thermal"].value, reading["low_power"].value) == (level, low)


def test_old_systems_have_no_low_power_mode() -> None:
    info = SimpleNamespace(thermalState=1)
    reading = ProcessInfoReader(lambda _: SimpleNamespace(processInfo=info)).read()
    assert set(reading) == {"thermal"}


def test_a_state_that_is_not_documented_is_unknown(told: list[str]) -> None:
    clean = PlausibilityFilter("ProcessInfo", told.append)
    reader = ProcessInfoReader(with_methods(7, False))
    assert [clean(reader.read())["thermal"].value for _ in range(3)] == [None] * 3
    assert len(told) == 1


def test_classes_come_from_either_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rubicon", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "rubicon.objc", SimpleNamespace(ObjCClass="rubicon {}".format))
    monkeypatch.setitem(sys.modules, "Foundation", None)
    assert load_class("UIDevice") == "rubicon UIDevice"
    monkeypatch.setitem(sys.modules, "Foundation", SimpleNamespace(NSProcessInfo="pyobjc"))
    assert load_class("NSProcessInfo") == "pyobjc"
    assert load_class("UIDevice") == "rubicon UIDevice"  # Foundation has none


class Device:
    """A UIDevice: unknown until monitoring is on."""

    def __init__(self, level: float, state: int) -> None:
        self._level, self._state = level, state
        self.batteryMonitoringEnabled = False

    @property
    def batteryLevel(self) -> float:  # noqa: N802 - Apple's name
        return self._level if self.batteryMonitoringEnabled else -1.0

    @property
    def batteryState(self) -> int:  # noqa: N802
        return self._state if self.batteryMonitoringEnabled else 0


@pytest.mark.parametrize(
    ("level", "state", "battery", "charging"),
    [(0.5, 1, 0.5, False), (0.25, 2, 0.25, True), (1.0, 3, 1.0, True), (-1.0, 0, None, None), (0.0, 9, 0.0, None)],
)
def test_device(told: list[str], level: float, state: int, battery: float | None, charging: bool | None) -> None:
    reader = DeviceReader(lambda _: SimpleNamespace(currentDevice=Device(level, state)))
    reading = PlausibilityFilter(reader.name, told.append)(reader.read())
    assert (reading["battery"].value, reading["charging"].value) == (battery, charging)
    assert told == []  # -1 is Apple's word for unknown


@pytest.mark.parametrize(("level", "state"), [(10**400, 1), (0.5, None), (0.5, "nonsense")])
def test_one_broken_value_of_the_device_is_unknown_by_itself(told: list[str], level: float, state: Any) -> None:
    reader = DeviceReader(lambda _: SimpleNamespace(currentDevice=Device(level, state)))
    reading = PlausibilityFilter(reader.name, told.append)(reader.read())
    expected = (0.5, None) if level == 0.5 else (None, False)
    assert (reading["battery"].value, reading["charging"].value) == expected


def test_one_broken_value_of_the_process_is_unknown_by_itself() -> None:
    info = SimpleNamespace(thermalState="hot", isLowPowerModeEnabled=lambda: True)
    found = values(ProcessInfoReader(lambda _: SimpleNamespace(processInfo=info)))
    assert found == {"thermal": None, "low_power": True}


def pmset(batt: str = NO_BATTERY, therm: str = NO_WARNING, settings: str = "") -> Callable[..., Any]:
    return {("batt",): batt, ("therm",): therm, (): settings}.__getitem__


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        (pmset(), {"charging": True}),
        (pmset(ON_BATTERY, settings=SETTINGS.format(1)), {"charging": False, "battery": 0.85, "low_power": True}),
        (pmset(ON_MAINS, LIMITED), {"charging": True, "battery": 1.0, "frequency": 0.35}),
        (pmset("Now drawing from 'UPS Power'\n"), {"charging": False}),
        (pmset(ON_BATTERY.replace("Battery Power", "AC Power")), {"charging": False, "battery": 0.85}),
        (pmset(ON_MAINS.replace("charged", "AC attached; not charging")), {"charging": True, "battery": 1.0}),
        (pmset(ON_BATTERY.replace("discharging", "charging")), {"charging": True, "battery": 0.85}),
        (pmset(ON_BATTERY.replace("85", "9" * 5000)), {"charging": False}),
        (pmset(ON_MAINS, LIMITED.replace("= 35", "= " + "9" * 5000)), {"charging": True, "battery": 1.0}),
        (pmset(ON_MAINS, LIMITED.replace("= 35", "= 0")), {"charging": True, "battery": 1.0}),
        (pmset("", ""), {}),
    ],
)
def test_pmset(tool: Callable[..., Any], found: dict[str, Any]) -> None:
    assert values(PmsetReader(lambda *given: tool(given))) == found


@pytest.mark.parametrize("broken", [("batt",), ("therm",), ()])
def test_one_call_of_pmset_that_fails_is_unknown_by_itself(broken: tuple[str, ...]) -> None:
    def tool(*given: str) -> str:
        if given == broken:
            raise subprocess.TimeoutExpired("pmset", 5)
        return str(pmset(ON_MAINS, LIMITED, SETTINGS.format(1))(given))

    found = values(PmsetReader(tool))
    field = "low_power" if not broken else {"batt": "battery", "therm": "frequency"}[broken[0]]
    good = {"battery": 1.0, "frequency": 0.35, "low_power": True}
    assert {name: found[name] for name in good} == {**good, field: None}


@pytest.mark.parametrize(
    ("settings", "low"),
    [
        (SETTINGS.format(0), False),
        (SETTINGS.format(1), True),
        (" powermode            1\n", True),
        (" powermode            2\n", False),
        (" displaysleep         10\n", None),
    ],
)
def test_low_power_mode(settings: str, low: bool | None) -> None:
    assert low_power_mode(settings) is low


@pytest.mark.parametrize(("pressure", "level"), list(enumerate([*ThermalLevel, ThermalLevel.CRITICAL])))
def test_thermal_pressure(pressure: int, level: ThermalLevel) -> None:
    asked: list[str] = []

    def state_of(name: str) -> int:
        asked.append(name)
        return pressure

    reader = PressureReader(state_of)
    assert reader.read()["thermal"].value is level
    assert asked == ["com.apple.system.thermalpressurelevel"]


def test_pressure_that_is_not_documented_or_not_announced(told: list[str]) -> None:
    clean = PlausibilityFilter("thermal pressure", told.append)
    assert clean(PressureReader(lambda _: 10).read())["thermal"].value is None
    assert len(told) == 1
    assert PressureReader(lambda _: None).read() == {}


LIBRARY = """
#include <stdint.h>
#include <string.h>
uint32_t notify_register_check(const char *name, int *token) {
    if (strcmp(name, "known")) return 1;
    *token = 42;
    return 0;
}
uint32_t notify_get_state(int token, uint64_t *state) {
    *state = token == 42 ? 3 : 99;
    return 0;
}
"""


def test_the_system_library_is_called_as_declared(tmp_path: Path) -> None:
    """Through a library with the same two functions, where there is a compiler."""
    source, library = tmp_path / "notify.c", tmp_path / "libnotify.so"
    source.write_text(LIBRARY)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler")
    notifications = Notifications(str(library))
    assert [notifications.state(name) for name in ("known", "known", "other")] == [3, 3, None]
