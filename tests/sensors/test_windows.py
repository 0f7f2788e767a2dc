"""GetSystemPowerStatus as documented; psutil as documented."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import Clock
from tests.sensors.conftest import values
from veca_edge.sensors.credible import STILL
from veca_edge.sensors.plausible import PlausibilityFilter
from veca_edge.sensors.psutil_reader import PsutilReader
from veca_edge.sensors.windows import PowerStatus, PowerStatusReader, query


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (PowerStatus(0, 0, 55, 1), {"charging": False, "battery": 0.55, "low_power": True}),
        (PowerStatus(1, 8, 100, 0), {"charging": True, "battery": 1.0, "low_power": False}),
        (PowerStatus(1, 128, 255, 0), {"charging": True, "low_power": False}),  # a desktop
        (PowerStatus(255, 255, 255, 0), {"low_power": False}),
        (PowerStatus(0, 1, 255, 0), {"charging": False, "low_power": False}),
        (
            PowerStatus(1, 2, 9, 0, 1200),
            {"charging": False, "battery": 0.09, "low_power": False},
        ),  # a plug too weak
        (PowerStatus(1, 0, 80, 0, 2**32 - 1), {"charging": True, "battery": 0.8, "low_power": False}),
        (PowerStatus(0, 8, 80, 0), {"charging": True, "battery": 0.8, "low_power": False}),
        (PowerStatus(1, 128, 255, 0, 1200), {"charging": True, "low_power": False}),
    ],
)
def test_power_status(status: PowerStatus, found: dict[str, Any]) -> None:
    assert values(PowerStatusReader(lambda: status)) == found


@pytest.mark.skipif(sys.platform == "win32", reason="there it works")
def test_elsewhere_the_call_fails_as_an_exception() -> None:
    with pytest.raises(AttributeError):
        query()


def psutil(**functions: Any) -> Any:
    return SimpleNamespace(**{name: lambda value=value: value for name, value in functions.items()})


def test_psutil_without_any_function() -> None:
    assert values(PsutilReader(psutil())) == {}


def test_psutil_without_sensors() -> None:
    assert values(PsutilReader(psutil(sensors_battery=None, cpu_freq=None, sensors_temperatures={}))) == {}


def test_psutil() -> None:
    module = psutil(
        sensors_battery=SimpleNamespace(percent=93, secsleft=16628, power_plugged=False),
        cpu_freq=SimpleNamespace(current=1400.0, min=800.0, max=2800.0),
        sensors_temperatures={
            "acpitz": [SimpleNamespace(label="", current=47.0, high=103.0, critical=103.0)],
            "coretemp": [SimpleNamespace(label="Core 0", current=52.0, high=100.0, critical=100.0)],
        },
    )
    assert values(PsutilReader(module)) == {
        "battery": 0.93,
        "charging": False,
        "frequency": 0.5,
        "temperatures": (("acpitz", 47.0), ("coretemp Core 0", 52.0)),
    }


def test_psutil_where_the_maximum_and_the_plug_are_unknown() -> None:
    module = psutil(
        sensors_battery=SimpleNamespace(percent=50.5, secsleft=-1, power_plugged=None),
        cpu_freq=SimpleNamespace(current=1400.0, min=0.0, max=0.0),
    )
    assert values(PsutilReader(module)) == {"battery": 0.505, "charging": None}


def test_psutil_on_a_plug_that_is_too_weak() -> None:
    battery = SimpleNamespace(percent=9, secsleft=1200, power_plugged=True)
    assert values(PsutilReader(psutil(sensors_battery=battery)))["charging"] is False
    battery.secsleft = 2**32 - 1  # no time at all
    assert values(PsutilReader(psutil(sensors_battery=battery)))["charging"] is True


@pytest.mark.parametrize("nonsense", [None, "x", float("nan"), 10**400, -5, OSError("denied")])
def test_one_broken_value_of_psutil_is_unknown_by_itself(told: list[str], nonsense: Any) -> None:
    def fails() -> None:
        raise nonsense

    module = psutil(
        sensors_battery=SimpleNamespace(percent=nonsense, secsleft=nonsense, power_plugged=False),
        cpu_freq=SimpleNamespace(current=nonsense, max=2800.0),
        sensors_temperatures={"a": [SimpleNamespace(label="", current=47.0)]},
    )
    if isinstance(nonsense, OSError):
        module.sensors_battery, module.cpu_freq = fails, fails
    found = PlausibilityFilter("psutil", told.append)(PsutilReader(module).read())
    assert found["temperatures"].value == (("a", 47.0),)
    for field in ("battery", "frequency"):
        assert field not in found or found[field].value is None


def test_psutil_leaves_out_temperatures_that_cannot_be(clock: Clock) -> None:
    entries = [
        SimpleNamespace(label="good", current=52.0, critical=100.0),
        SimpleNamespace(label="off", current=0.0, critical=None),
        SimpleNamespace(label="over", current=60.0, critical=55.0),
        SimpleNamespace(label="stuck", current=99.0, critical=None),
        SimpleNamespace(label="unset", current=50.0, critical=0.0),
    ]
    reader = PsutilReader(psutil(sensors_temperatures={"a": entries}), clock)
    assert [name for name, _ in values(reader)["temperatures"]] == ["a good", "a stuck", "a unset"]
    clock.advance(STILL)
    found = reader.read()["temperatures"]
    assert found.value == (("a good", 52.0), ("a unset", 50.0))
    assert found.left_out == (
        "a off 0.0 °C: nothing is connected",
        "a over 60.0 °C: critical at 55 °C, but the machine runs",
        "a stuck 99.0 °C: it has not moved for 60 s",
    )
