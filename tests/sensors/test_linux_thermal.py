"""Thermal zones: readable ones, broken ones, and the level that their trip points make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Clock
from tests.sensors.conftest import Grow, values
from veca_edge.sensors.credible import STILL
from veca_edge.sensors.linux_thermal import RESCAN, Limits, ThermalReader
from veca_edge.sensors.plausible import PlausibilityFilter
from veca_edge.sensors.state import ThermalLevel

ZONES = "sys/class/thermal/thermal_zone"
NOMINAL, FAIR, SERIOUS, CRITICAL = ThermalLevel


def zone(grow: Grow, number: int, kind: str, temp: int | str, *trips: tuple[Any, ...], **more: str) -> str:
    files = {"type": kind, "temp": temp, **more}
    for index, (trip, celsius) in enumerate(trips):
        files[f"trip_point_{index}_type"] = trip
        files[f"trip_point_{index}_temp"] = celsius
    return grow(f"{ZONES}{number}", **files)


def test_no_zones(grow: Grow) -> None:
    assert ThermalReader(grow()).read() == {}


def test_every_zone_by_name_and_the_hottest_by_its_own_trips(grow: Grow) -> None:
    zone(grow, 0, "acpitz", 27800, ("critical", 119000))
    zone(grow, 1, "cpu-thermal", 84000, ("active", 50000), ("passive", 85000), ("critical", 105000))
    zone(grow, 2, "battery", 46000, ("passive", 45000))
    root = zone(grow, 10, "battery", 30000)
    reading = ThermalReader(root).read()
    assert reading["temperatures"].value == (
        ("acpitz", 27.8),
        ("cpu-thermal", 84.0),
        ("battery", 46.0),
        ("battery 10", 30.0),
    )
    assert reading["thermal"].value is SERIOUS
    assert reading["thermal"].source == "/sys/class/thermal: battery 46.0 °C, passive at 45 °C"


@pytest.mark.parametrize(
    ("limits", "celsius", "level"),
    [
        (Limits(85, 105), 79.9, NOMINAL),
        (Limits(85, 105), 80, FAIR),
        (Limits(85, 105), 85, SERIOUS),
        (Limits(85, 105), 99.9, SERIOUS),
        (Limits(85, 105), 100, CRITICAL),
        (Limits(95, 99), 95, SERIOUS),  # near each other: half-way
        (Limits(95, 99), 97, CRITICAL),
        (Limits(None, 105), 84, NOMINAL),
        (Limits(None, 105), 85, FAIR),
        (Limits(None, 105), 90, SERIOUS),
        (Limits(None, 105), 100, CRITICAL),
        (Limits(110, 105), 90, SERIOUS),  # a passive trip above the end is none
        (Limits(85, None), 120, SERIOUS),
        (Limits(None, None), 120, None),
    ],
)
def test_the_rule(limits: Limits, celsius: float, level: ThermalLevel | None) -> None:
    assert limits.level(celsius) is level


def test_zones_without_trips_give_temperatures_and_no_level(grow: Grow) -> None:
    root = zone(grow, 0, "soc", 99000)
    assert values(ThermalReader(root)) == {"temperatures": (("soc", 99.0),), "thermal": None}


@pytest.mark.parametrize("unset", [0, -274000, 2**31 - 1, "nonsense"])
def test_trips_that_are_not_set_do_not_count(grow: Grow, unset: int | str) -> None:
    root = zone(grow, 0, "x86_pkg_temp", 60000, ("passive", unset), ("critical", 100000))
    assert values(ThermalReader(root))["thermal"] is NOMINAL


def test_the_first_of_several_passive_trips_counts(grow: Grow) -> None:
    trips = (("passive", 90000), ("passive", 70000), ("critical", 110000))
    root = zone(grow, 0, "cpu", 75000, *trips, policy="step_wise")
    assert values(ThermalReader(root))["thermal"] is SERIOUS


def test_the_power_allocator_holds_its_last_trip(grow: Grow) -> None:
    trips = (("passive", 70000), ("passive", 85000), ("critical", 110000))
    root = zone(grow, 0, "cpu", 75000, *trips, policy="power_allocator")
    assert values(ThermalReader(root))["thermal"] is NOMINAL


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_zones_that_answer_with_errors_are_left_out(grow: Grow, tmp_path: Path) -> None:
    zone(grow, 0, "modem", 0)
    zone(grow, 1, "gpu", 0)
    zone(grow, 2, "gone", 0)
    root = zone(grow, 3, "cpu", 50000, ("passive", 80000))
    again, broken, gone = (tmp_path / f"{ZONES}{number}" / "temp" for number in range(3))
    for path in (again, broken, gone):
        path.unlink()
    os.mkfifo(again)
    writer = os.open(again, os.O_RDWR)  # EAGAIN: open, and nothing there
    broken.mkdir()  # EISDIR stands for EIO and EINVAL, which no plain file gives
    assert values(ThermalReader(root)) == {"temperatures": (("cpu", 50.0),), "thermal": NOMINAL}
    os.close(writer)


@pytest.mark.parametrize("temp", [-274000, 10**9 * 1000, 200000, "", "N/A"])
def test_a_zone_that_lies_makes_no_level(grow: Grow, told: list[str], temp: int | str) -> None:
    zone(grow, 0, "liar", temp, ("passive", 80000), ("critical", 100000))
    root = zone(grow, 1, "cpu", 50000, ("passive", 80000))
    reader = ThermalReader(root)
    clean = PlausibilityFilter(reader.name, told.append)
    for _ in range(3):
        found = clean(reader.read())
        assert found["thermal"].value is NOMINAL
        assert found["temperatures"].value == (("cpu", 50.0),)
    assert len(told) == isinstance(temp, int)  # text is no value at all, a number is a lie


def test_zones_that_come_later_are_found(grow: Grow, clock: Clock) -> None:
    root = zone(grow, 0, "cpu", 50000)
    reader = ThermalReader(root, clock)
    reader.read()
    zone(grow, 1, "wifi", 40000)
    clock.advance(RESCAN - 1)
    assert values(reader)["temperatures"] == (("cpu", 50.0),)
    clock.advance(1)
    assert values(reader)["temperatures"] == (("cpu", 50.0), ("wifi", 40.0))


def test_a_zone_that_goes_away_is_left_out_and_comes_back(grow: Grow, clock: Clock) -> None:
    zone(grow, 0, "cpu", 50000)
    root = zone(grow, 1, "wifi", 40000)
    reader = ThermalReader(root, clock)
    reader.read()
    (Path(root) / f"{ZONES}1" / "temp").unlink()
    clock.advance(RESCAN)
    assert values(reader)["temperatures"] == (("cpu", 50.0),)
    zone(grow, 1, "wifi", 41000)
    assert values(reader)["temperatures"] == (("cpu", 50.0), ("wifi", 41.0))


def test_files_stay_open_until_the_reader_is_closed(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    root = zone(grow, 0, "cpu", 50000)
    reader = ThermalReader(root)
    reader.read()
    opened: list[str] = []
    original = os.open

    def noted(path: str, *rest: int) -> int:
        opened.append(path)
        return original(path, *rest)

    monkeypatch.setattr(os, "open", noted)
    zone(grow, 0, "cpu", 51000)
    assert values(reader)["temperatures"] == (("cpu", 51.0),)
    assert opened == []
    reader.close()
    assert values(reader)["temperatures"] == (("cpu", 51.0),)
    assert opened == [f"{root}/{ZONES}0/temp"]


def test_where_there_is_nothing_it_looks_seldom(grow: Grow) -> None:
    reader = ThermalReader(grow())
    reader.read()
    assert reader.interval == RESCAN


def left_out(reader: ThermalReader) -> tuple[str, ...]:
    return reader.read()["temperatures"].left_out


RUNS = "but the machine runs"
ALONE = "it has not moved yet and nothing else is near as hot"
JETSON = ("PMIC-Die", 100000, ("hot", 120000), ("critical", 140000))


@pytest.mark.parametrize(
    ("liar", "reason"),
    [
        (JETSON, f"PMIC-Die 100.0 °C: {ALONE}"),
        (("pmic_thermal", 99500, ("critical", 105000)), "pmic_thermal 99.5 °C: it has not moved yet"),
        (
            ("tdiode", 85000, ("passive", 80000)),
            f"tdiode 85.0 °C: {ALONE}",
        ),
        (("skin", 100000), f"skin 100.0 °C: {ALONE}"),
        (
            ("ddr", 60000, ("passive", 50000), ("critical", 55000)),
            f"ddr 60.0 °C: critical at 55 °C, {RUNS}",
        ),
        (("ddr", 60000, ("critical", 60000)), f"ddr 60.0 °C: critical at 60 °C, {RUNS}"),
        (
            ("npu", 127000, ("passive", 95000), ("critical", 110000)),
            "npu 127.0 °C: critical at 110 °C, but the machine runs",
        ),
        (("off", 0, ("passive", 80000)), "off 0.0 °C: nothing is connected"),
        (("mixed", 84, ("passive", 80000)), "mixed 84: in no unit that fits its trip points"),
        (("mixed", 84, ("passive", 80), ("critical", 105000)), "mixed 84: in no unit that fits its trip points"),
        (("minus", -1, ("passive", 80000)), "minus -1: in no unit that fits its trip points"),
        (("nothing", 7), "nothing 7: in no unit that fits its trip points"),
    ],
)
def test_a_zone_that_cannot_be_believed_is_left_out_with_the_reason(
    grow: Grow, liar: tuple[Any, ...], reason: str
) -> None:
    zone(grow, 0, "cpu", 41000, ("passive", 97000), ("critical", 102500))
    reader = ThermalReader(zone(grow, 4, *liar))
    found = reader.read()
    assert found["thermal"].value is NOMINAL
    assert found["temperatures"].value == (("cpu", 41.0),)
    assert found["temperatures"].left_out == (reason,)


def test_where_no_zone_can_be_believed_the_level_is_unknown(grow: Grow) -> None:
    reader = ThermalReader(zone(grow, 0, "ddr", 60000, ("critical", 55000)))
    assert values(reader) == {"temperatures": None, "thermal": None}
    assert len(left_out(reader)) == 1


def test_a_lonely_hot_zone_counts_as_soon_as_it_moves(grow: Grow, clock: Clock) -> None:
    zone(grow, 0, "cpu", 41000, ("passive", 97000))
    reader = ThermalReader(zone(grow, 4, *JETSON), clock)
    assert left_out(reader)
    zone(grow, 4, "PMIC-Die", 101000)
    assert values(reader)["thermal"] is FAIR
    zone(grow, 4, "PMIC-Die", 100000)
    assert values(reader)["thermal"] is FAIR
    clock.advance(STILL)
    assert left_out(reader) == ("PMIC-Die 100.0 °C: it has not moved for 60 s",)


def test_a_hot_zone_that_never_moves_is_doubted_in_the_end(grow: Grow, clock: Clock) -> None:
    root = zone(grow, 0, "soc", 97300, ("passive", 95000), ("critical", 100000))
    reader = ThermalReader(root, clock)
    for _ in range(int(STILL)):
        assert values(reader)["thermal"] is SERIOUS
        clock.advance(1)
    assert values(reader) == {"temperatures": None, "thermal": None}
    zone(grow, 0, "soc", 97400)
    assert values(reader)["thermal"] is SERIOUS


@pytest.mark.parametrize("celsius", [100, 115, 127])  # round, or the largest number of a byte
def test_a_constant_stops_nothing_from_the_start(grow: Grow, clock: Clock, celsius: int) -> None:
    zone(grow, 0, "cpu", 41000, ("passive", 97000))
    reader = ThermalReader(zone(grow, 4, "acpitz", celsius * 1000, ("critical", celsius * 1000 + 1000)), clock)
    assert values(reader)["thermal"] is NOMINAL


def test_a_cool_zone_may_rest(grow: Grow, clock: Clock) -> None:
    reader = ThermalReader(zone(grow, 0, "battery", 30000, ("passive", 45000)), clock)
    reader.read()
    clock.advance(10 * STILL)
    assert values(reader) == {"temperatures": (("battery", 30.0),), "thermal": NOMINAL}


@pytest.mark.parametrize(
    ("raw", "trips", "celsius", "level"),
    [
        (84, (("passive", 80), ("critical", 105)), 84.0, SERIOUS),
        (41, (("passive", 80), ("critical", 105)), 41.0, NOMINAL),
        (102, (("passive", 80), ("critical", 105)), 102.0, CRITICAL),
        (780, (("passive", 800), ("critical", 1050)), 78.0, FAIR),
        (7600, (("passive", 8000), ("critical", 10500)), 76.0, FAIR),
        (8400, (("passive", 80000), ("critical", 105000)), 8.4, NOMINAL),  # a cold day
        (-5000, (("passive", 80000),), -5.0, NOMINAL),
        (-5, (("passive", 80),), -5.0, NOMINAL),
        (41000, (("passive", 80), ("critical", 105)), 41.0, None),  # its trips are not set
        (55, (), 55.0, None),
        (312, (), 31.2, None),
        (31200, (), 31.2, None),
    ],
)
def test_the_unit_is_told_by_the_zone_and_its_trips(
    grow: Grow, raw: int, trips: tuple[Any, ...], celsius: float, level: ThermalLevel | None
) -> None:
    reader = ThermalReader(zone(grow, 0, "cpu", raw, *trips))
    assert values(reader) == {"temperatures": (("cpu", celsius),), "thermal": level}


@pytest.mark.parametrize(
    ("hot", "level"), [(75000, CRITICAL), (65000, CRITICAL), (60000, NOMINAL), (40000, NOMINAL)]
)
def test_a_hot_trip_far_below_a_running_machine_is_none(grow: Grow, hot: int, level: ThermalLevel) -> None:
    reader = ThermalReader(zone(grow, 0, "cpu", 70300, ("hot", hot), ("critical", 110000)))
    assert values(reader)["thermal"] is level


@pytest.mark.parametrize(
    "broken", ["9" * 400, "nan", "1e999", "\x00\x07\x01", "5" * 2**20, "1_0"], ids=lambda text: text[:5]
)
@pytest.mark.parametrize("name", ["temp", "trip_point_0_temp", "trip_point_0_type", "type", "policy"])
def test_one_broken_file_costs_its_zone_at_most(grow: Grow, name: str, broken: str) -> None:
    zone(grow, 0, "cpu", 84000, ("passive", 80000))
    root = zone(grow, 1, "gpu", 50000, ("passive", 80000))
    grow(f"{ZONES}1", **{name: broken})
    found = values(ThermalReader(root))
    assert found["thermal"] is SERIOUS
    assert found["temperatures"][0] == ("cpu", 84.0)
    assert all(zone_name.isprintable() and len(zone_name) < 100 for zone_name, _ in found["temperatures"])
