"""One place decides what can be true."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from veca_edge.sensors.plausible import PlausibilityFilter, checked_temperature, checked_value
from veca_edge.sensors.reading import Reading, Sensed, gather, merge
from veca_edge.sensors.state import ThermalLevel

LIES = [-1, -1.0, math.nan, math.inf, -math.inf, 1e9, 10**400, "0.5", [], True, 1j]


@pytest.mark.parametrize("field", ["battery", "headroom", "forecast", "frequency", "power"])
@pytest.mark.parametrize("value", LIES, ids=str)
def test_lies_become_unknown(field: str, value: Any) -> None:
    assert checked_value(field, value) is None


@pytest.mark.parametrize("value", [-274, -41, 150.1, math.nan, 1e9, "50", None, False], ids=str)
def test_lies_about_temperatures(value: bool | float | str | None) -> None:
    assert checked_temperature(value) is None


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("battery", 0, 0.0),
        ("battery", 1.04, 1.0),  # a new battery above its nominal charge
        ("battery", np.float32(0.5), 0.5),
        ("battery", Fraction(1, 4), 0.25),
        ("frequency", 1.09, 1.0),  # turbo
        ("frequency", 1.2, None),
        ("headroom", 1.8, 1.8),
        ("power", 0, 0.0),
        ("thermal", ThermalLevel.FAIR, ThermalLevel.FAIR),
        ("thermal", 1, None),
        ("charging", False, False),
        ("charging", 1, None),
        ("low_power", "yes", None),
    ],
)
def test_values(field: str, value: Any, expected: ThermalLevel | bool | float | None) -> None:
    checked = checked_value(field, value)
    assert checked == expected
    assert type(checked) is type(expected)


def test_one_warning_per_field(told: list[str]) -> None:
    clean = PlausibilityFilter("thing", told.append)
    for value in (-1, 1e9, 0.5, math.nan):
        clean({"battery": Sensed(value, "there"), "power": Sensed(-5, "there")})
    assert told == [
        "sensors: thing: battery -1 is not plausible and counts as unknown",
        "sensors: thing: power -5 is not plausible and counts as unknown",
    ]


def test_unknown_is_no_lie(told: list[str]) -> None:
    sensed = Sensed(None, "why")
    assert PlausibilityFilter("thing", told.append)({"battery": sensed}) == {"battery": sensed}
    assert told == []


def test_single_temperatures_are_dropped(told: list[str]) -> None:
    clean = PlausibilityFilter("thing", told.append)
    pairs = (("a", -274.0), ("b", 50), ("c", math.nan), ("d", None))
    assert clean({"temperatures": Sensed(pairs, "there")})["temperatures"].value == (("b", 50.0),)
    assert clean({"temperatures": Sensed(pairs[:1], "there")})["temperatures"].value is None
    assert told == ["sensors: thing: -274.0 °C of a is not plausible and counts as unknown"]


def test_a_field_that_does_not_exist_is_an_error(told: list[str]) -> None:
    with pytest.raises(ValueError, match="no field 'fan'"):
        PlausibilityFilter("thing", told.append)({"fan": Sensed(1, "")})


def test_a_battery_that_discharges_outweighs_a_plug() -> None:
    plug, battery = {"charging": Sensed(True, "plug")}, {"charging": Sensed(False, "battery")}
    assert merge([plug, battery]) == merge([battery, plug]) == battery
    assert merge([plug, {"charging": Sensed(None, "?")}]) == plug


def test_parts_fail_by_themselves_and_a_reader_only_as_a_whole() -> None:
    def fails() -> Reading:
        raise OSError("denied")

    found = gather({"battery": fails, "power": lambda: {"power": Sensed(5.0, "gauge")}})
    assert found == {"battery": Sensed(None, "OSError: denied"), "power": Sensed(5.0, "gauge")}
    with pytest.raises(OSError, match="denied"):
        gather({"battery": fails, "power": fails})


def test_merging() -> None:
    first = {
        "battery": Sensed(None, "no idea"),
        "thermal": Sensed(ThermalLevel.FAIR, "flags"),
        "temperatures": Sensed((("a", 1.0),), "A"),
        "power": Sensed(None, "may not"),
        "frequency": Sensed(0.5, "first"),
    }
    second = {
        "battery": Sensed(0.5, "gauge"),
        "thermal": Sensed(ThermalLevel.SERIOUS, "zones"),
        "temperatures": Sensed((("b", 2.0),), "B"),
        "power": Sensed(None, "nothing"),
        "frequency": Sensed(0.9, "second"),
    }
    assert merge([first, second]) == {
        "battery": Sensed(0.5, "gauge"),
        "thermal": Sensed(ThermalLevel.SERIOUS, "zones"),
        "temperatures": Sensed((("a", 1.0), ("b", 2.0)), "A, B"),
        "power": Sensed(None, "may not"),
        "frequency": Sensed(0.5, "first"),
    }
    assert merge([second, first])["thermal"].source == "zones"
