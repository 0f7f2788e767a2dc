"""Batteries and mains as the kernel shows them, from plain laptops to boards with odd drivers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sensors.conftest import Grow
from tests.sensors.conftest import values as values_of
from veca_edge.sensors.linux_power import PowerSupplyReader

SUPPLY = "sys/class/power_supply"


def values(root: str) -> dict[str, Any]:
    return values_of(PowerSupplyReader(root))


def test_a_machine_without_supplies_has_nothing(grow: Grow) -> None:
    assert values(grow()) == {}


def test_a_laptop_on_its_battery(grow: Grow) -> None:
    grow(f"{SUPPLY}/AC", type="Mains", online=0)
    battery = {"energy_now": 30_000_000, "energy_full": 40_000_000, "capacity": 70, "power_now": 12_500_000}
    root = grow(f"{SUPPLY}/BAT0", type="Battery", present=1, status="Discharging", **battery)
    reading = PowerSupplyReader(root).read()
    assert {field: sensed.value for field, sensed in reading.items()} == {
        "battery": 0.75,  # the energy is finer than the percentage
        "charging": False,
        "power": 12.5,
    }
    assert reading["battery"].source == "/sys/class/power_supply/BAT0"


def test_charge_where_there_is_no_energy(grow: Grow) -> None:
    flow = {"status": "Discharging", "current_now": -2_000_000, "voltage_now": 4_000_000}  # minus: out
    root = grow(f"{SUPPLY}/battery", type="Battery", charge_now=1_500_000, charge_full=3_000_000, **flow)
    assert values(root) == {"battery": 0.5, "charging": False, "power": 8.0}


def test_capacity_alone(grow: Grow) -> None:
    root = grow(f"{SUPPLY}/battery", type="Battery", capacity=42, status="Charging")
    assert values(root) == {"battery": 0.42, "charging": True, "power": None}


@pytest.mark.parametrize(("now", "full"), [(-1, 40), (0, 0), (50, 40), (10, -1), ("", 40), ("N/A", 40)])
def test_a_gauge_that_has_not_learned_gives_way_to_the_percentage(grow: Grow, now: int | str, full: int) -> None:
    root = grow(f"{SUPPLY}/BAT0", type="Battery", energy_now=now, energy_full=full, capacity=60)
    assert values(root)["battery"] == 0.6


def test_two_batteries_count_by_their_size(grow: Grow) -> None:
    grow(f"{SUPPLY}/BAT0", type="Battery", energy_now=20, energy_full=20, status="Unknown")
    root = grow(
        f"{SUPPLY}/BAT1", type="Battery", energy_now=10, energy_full=80, status="Discharging", power_now=5e6
    )
    assert values(root)["battery"] == pytest.approx(0.3)
    assert values(root)["charging"] is False


def test_two_batteries_of_different_kinds_count_by_percentage(grow: Grow) -> None:
    grow(f"{SUPPLY}/BAT0", type="Battery", energy_now=20, energy_full=20, capacity=100)
    root = grow(f"{SUPPLY}/BAT1", type="Battery", charge_now=1, charge_full=2, capacity=50)
    assert values(root)["battery"] == 0.75


def test_power_is_unknown_unless_every_discharging_battery_tells(grow: Grow) -> None:
    grow(f"{SUPPLY}/BAT0", type="Battery", capacity=50, status="Discharging", power_now=4_000_000)
    root = grow(f"{SUPPLY}/BAT1", type="Battery", capacity=50, status="Discharging")
    assert values(root)["power"] is None
    grow(f"{SUPPLY}/BAT1", power_now=3_000_000)
    assert values(root)["power"] == 7.0


def test_mice_and_empty_bays_do_not_count(grow: Grow) -> None:
    grow(f"{SUPPLY}/hidpp_battery_0", type="Battery", scope="Device", capacity=5, status="Discharging")
    root = grow(f"{SUPPLY}/BAT1", type="Battery", present=0, capacity=0)
    assert values(root) == {}


@pytest.mark.parametrize(
    ("supplies", "status", "charging"),
    [
        ({"AC": ("Mains", 1)}, "Discharging", True),  # a charger that is too weak is one all the same
        ({"AC": ("Mains", 0), "usb": ("USB_PD", 1)}, "Charging", True),
        ({"AC": ("Mains", 0), "usb": ("USB", 2)}, "Full", True),
        ({"AC": ("Mains", 0), "usb": ("USB", 0)}, "Discharging", False),
        ({"AC": ("Mains", 0)}, "Charging", True),  # the charger in use has no driver
        ({"pad": ("Wireless", 1)}, None, True),
        ({"AC": ("Mains", 0)}, "Unknown", False),
        ({"AC": ("Mains", "?")}, "Unknown", None),
        ({}, "Not charging", True),
        ({}, "Full", True),
        ({}, "Discharging", False),
        ({}, "Unknown", None),
        ({"AC": ("Mains", 1)}, None, True),
    ],
)
def test_external_power(grow: Grow, supplies: dict[str, Any], status: str | None, charging: bool | None) -> None:
    root = grow()
    for name, (kind, online) in supplies.items():
        grow(f"{SUPPLY}/{name}", type=kind, online=online)
    if status is not None:
        grow(f"{SUPPLY}/BAT0", type="Battery", capacity=50, status=status)
    assert values(root).get("charging") is charging


@pytest.mark.parametrize(("profile", "low"), [("low-power", True), ("balanced", False), ("performance", False)])
def test_the_power_profile(grow: Grow, profile: str, low: bool) -> None:
    root = grow("sys/firmware/acpi", platform_profile=profile)
    assert values(root) == {"low_power": low}
