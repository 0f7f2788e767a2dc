"""Batteries and mains as the kernel shows them, from plain laptops to boards with odd drivers."""

from __future__ import annotations

import os
from collections.abc import Callable
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
        ({"AC": ("Mains", 1)}, "Discharging", False),  # a bit that is stuck, or a charger that is too weak
        ({"AC": ("Mains", 1), "usb": ("USB_C", 1)}, "Discharging", False),  # a phone that the laptop charges
        ({"usb": ("USB_PD", 1)}, "Not charging", True),
        ({"usb": ("USB", 1)}, "Unknown", True),
        ({"usb": ("USB", 0)}, None, False),
        ({"UPS": ("UPS", 1)}, "Charging", True),
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
        ({"AC": ("Mains", 1)}, "discharging", False),
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


OFF, ON = 0, 1


@pytest.mark.parametrize("supply", ["Mains", "USB", "USB_PD", "USB_C", "Wireless", None])
@pytest.mark.parametrize("online", [OFF, ON])
@pytest.mark.parametrize("flow", [{}, {"current_now": -900_000}, {"current_now": 900_000}])
@pytest.mark.parametrize(
    ("status", "charging"),
    [
        ("Discharging", False),
        ("Charging", True),
        ("Full", None),  # with 9 % it is not
        ("Not charging", True),
        ("Unknown", None),
        ("\x07broken", None),
        (None, None),
    ],
)
def test_the_batterys_own_word_comes_first(
    grow: Grow, supply: str | None, online: int, flow: dict[str, int], status: str | None, charging: bool | None
) -> None:
    if supply is not None:
        grow(f"{SUPPLY}/ext", type=supply, online=online)
    root = grow(f"{SUPPLY}/BAT0", type="Battery", capacity=9, **flow)
    if status is not None:
        grow(f"{SUPPLY}/BAT0", status=status)
    otherwise = None if supply is None else online == ON
    assert values(root).get("charging") is (otherwise if charging is None else charging)


@pytest.mark.parametrize(
    ("batteries", "mains", "charging"),
    [
        (("Discharging", "Discharging"), ON, False),
        (("Discharging", "Unknown"), ON, False),
        (("Discharging", "Full"), ON, False),
        (("Discharging", "Charging"), ON, True),  # they take turns on a real charger
        (("Discharging", "Charging"), OFF, False),  # one fills the other
        (("Unknown", "Full"), OFF, True),
        (("Unknown", "Unknown"), ON, True),
    ],
)
def test_several_batteries(grow: Grow, batteries: tuple[str, str], mains: int, charging: bool) -> None:
    root = grow(f"{SUPPLY}/AC", type="Mains", online=mains)
    for number, status in enumerate(batteries):
        grow(f"{SUPPLY}/BAT{number}", type="Battery", capacity=50, status=status)
    assert values(root)["charging"] is charging


@pytest.mark.parametrize(
    ("roles", "charging"),
    [
        (("[source] sink",), None),
        (("source [sink]",), True),
        (("[source] sink", "source [sink]"), True),
        ((), True),
    ],
)
def test_a_usb_c_port_that_feeds_a_phone(grow: Grow, roles: tuple[str, ...], charging: bool | None) -> None:
    grow(f"{SUPPLY}/ucsi-source-psy-USBC000:001", type="USB", scope="System", online=1)
    root = grow(f"{SUPPLY}/BAT0", type="Battery", capacity=9, status="Unknown")
    for number, role in enumerate(roles):
        grow(f"sys/class/typec/port{number}", power_role=role)
        grow(f"sys/class/typec/port{number}-partner", type="x")
    assert values(root).get("charging") is charging


def test_a_ups_counts_where_there_is_no_battery(grow: Grow) -> None:
    root = grow(f"{SUPPLY}/ups", type="UPS", capacity=60, status="Discharging")
    assert (values(root)["battery"], values(root)["charging"]) == (0.6, False)
    grow(f"{SUPPLY}/BAT0", type="Battery", capacity=30, status="Charging")
    assert (values(root)["battery"], values(root)["charging"]) == (0.3, True)


def test_peripherals_say_nothing_of_external_power(grow: Grow) -> None:
    grow(f"{SUPPLY}/pen", type="Battery", scope="Device", capacity=5, status="Discharging")
    grow(f"{SUPPLY}/dock", type="USB", scope="Device", online=1)
    root = grow(f"{SUPPLY}/BAT0", type="Battery", capacity=50, status="Unknown")
    assert "charging" not in values(root)


@pytest.mark.parametrize(
    ("said", "watts"),
    [
        ({"power_now": 14_000_000}, 14.0),
        ({"power_now": -14_000_000}, 14.0),
        ({"power_now": 0, "current_now": 1_000_000, "voltage_now": 12_000_000}, 12.0),
        ({"power_now": 10**10, "current_now": 1_000_000, "voltage_now": 12_000_000}, 12.0),  # 10 kW
        ({"power_now": "nan", "current_now": -1_000_000, "voltage_now": 12_000_000}, 12.0),
        ({"power_now": 5_000_000, "current_now": 0, "voltage_now": 12_000_000}, 5.0),
        ({"power_now": 5_000_000, "current_now": 10**400, "voltage_now": 12_000_000}, 5.0),
        ({"power_now": 5_000_000, "current_now": 6_000_000, "voltage_now": 12_000_000}, None),  # 5 W or 72 W
        ({"power_now": 0, "current_now": 0, "voltage_now": 12_000_000}, None),  # it runs: not of nothing
        ({"power_now": 0, "current_now": 1_000_000}, None),
        ({"power_now": 0}, None),
        ({"power_now": -1}, None),
        ({"power_now": 10**10}, None),
        ({"current_now": 1_000_000, "voltage_now": -12_000_000}, None),
    ],
)
def test_power_from_what_can_be_true(grow: Grow, said: dict[str, Any], watts: float | None) -> None:
    root = grow(f"{SUPPLY}/BAT0", type="Battery", capacity=50, status="Discharging", **said)
    assert values(root)["power"] == watts


@pytest.mark.parametrize(
    ("said", "share"),
    [
        ({"energy": (45, 50), "capacity": 88}, 0.9),
        ({"energy": (45, 50), "capacity": 9}, None),  # which of the two?
        ({"energy": (45, 50), "charge": (9, 10), "capacity": 9}, 0.9),
        ({"energy": (45, 50), "charge": (1, 10), "capacity": 9}, 0.1),
        ({"energy": (0, 50), "capacity": 60}, 0.6),  # not learned yet
        ({"energy": (30, 50), "capacity": 0}, 0.6),
        ({"energy": (0, 50), "capacity": 0}, 0.0),
        ({"energy": (30, 0), "capacity": 40}, 0.4),
        ({"energy": (30, 50), "capacity": 255}, 0.6),
        ({"capacity": 255}, None),
        ({"capacity": -1}, None),
        ({"energy": (10**400, 50), "capacity": 40}, 0.4),
    ],
)
def test_the_level_from_sources_that_agree(grow: Grow, said: dict[str, Any], share: float | None) -> None:
    files: dict[str, int] = {}
    for name, value in said.items():
        files |= (
            {name: value} if name == "capacity" else dict(zip((f"{name}_now", f"{name}_full"), value, strict=True))
        )
    root = grow(f"{SUPPLY}/BAT0", type="Battery", status="Discharging", **files)
    assert values(root)["battery"] == share


def test_what_is_not_believed_is_said(grow: Grow) -> None:
    root = grow(f"{SUPPLY}/BAT0", type="Battery", energy_now=45, energy_full=50, capacity=9)
    assert PowerSupplyReader(root).read()["battery"].source == (
        "/sys/class/power_supply/BAT0; BAT0: energy 90 % and capacity 9 % contradict each other"
    )


HUGE = "9" * 4000
BROKEN = [HUGE, f"-{HUGE}", "nan", "1e999", "0x1f", "1_0", "\x00\x01\x7f", "٣", "7" * 2**20]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: repr(text[:8]))
@pytest.mark.parametrize("name", ["capacity", "energy_now", "energy_full", "power_now", "voltage_now", "present"])
def test_one_broken_value_is_unknown_by_itself(grow: Grow, name: str, broken: str) -> None:
    files = {"capacity": 50, "energy_now": 5, "energy_full": 10, "power_now": 8_000_000, "present": 1, name: broken}
    grow(f"{SUPPLY}/AC", type="Mains", online=0)
    root = grow(f"{SUPPLY}/BAT0", type="Battery", status="Discharging", **files)
    found = values(root)
    assert (found["battery"], found["charging"]) == (0.5, False)
    assert found["power"] == (None if name == "power_now" else 8.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
@pytest.mark.parametrize("name", ["capacity", "power_now", "voltage_now", "present"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["blocks", "errors"])
def test_a_value_that_blocks_or_errors_is_unknown_by_itself(
    grow: Grow, name: str, make: Callable[[str], None]
) -> None:
    files = {"energy_now": 5, "energy_full": 10, "power_now": 8_000_000, "status": "Discharging"}
    root = grow(f"{SUPPLY}/BAT0", type="Battery", **{key: value for key, value in files.items() if key != name})
    make(f"{root}/{SUPPLY}/BAT0/{name}")
    assert values(root) == {"battery": 0.5, "charging": False, "power": None if name == "power_now" else 8.0}
