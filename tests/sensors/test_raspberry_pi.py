"""The firmware's flags, as a file and through its tool."""

from __future__ import annotations

import pytest

from tests.sensors.conftest import Grow
from veca_edge.sensors.raspberry_pi import ThrottledReader, is_raspberry_pi, parse_flags
from veca_edge.sensors.state import ThermalLevel

FILE = "sys/devices/platform/soc/soc:firmware"
NOMINAL, FAIR, SERIOUS, _ = ThermalLevel


def no_tool() -> None:
    raise AssertionError("the file comes first")


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("0", NOMINAL),
        ("50000", NOMINAL),  # it was throttled once, it is not now
        ("80008", FAIR),
        ("20002", SERIOUS),
        ("60006", SERIOUS),
        ("8000e", SERIOUS),
        ("50001", NOMINAL),  # low voltage, and nothing slowed
        ("50005", None),  # slowed, perhaps by the voltage alone
        ("5000d", FAIR),
    ],
)
def test_flags_in_sysfs(grow: Grow, flags: str, level: ThermalLevel | None) -> None:
    reader = ThrottledReader(grow(FILE, get_throttled=flags), no_tool)
    sensed = reader.read()["thermal"]
    assert sensed.value is level
    assert sensed.source.startswith(f"/{FILE}/get_throttled")
    assert ("under-voltage" in sensed.source) == bool(int(flags, 16) & 1)
    assert reader.interval == 1.0


def test_newer_boards_have_an_address_in_the_name(grow: Grow) -> None:
    folder = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware"
    assert ThrottledReader(grow(folder, get_throttled="8"), no_tool).read()["thermal"].value is FAIR


def test_the_tool_where_there_is_no_file(grow: Grow) -> None:
    reader = ThrottledReader(grow(), lambda: "throttled=0x20002\n")
    assert reader.read()["thermal"].value is SERIOUS
    assert reader.interval >= 10  # a process each time


def test_neither_file_nor_tool(grow: Grow) -> None:
    root = grow("sys/class/hwmon/hwmon1", name="rpi_volt", in0_lcrit_alarm=0)
    reader = ThrottledReader(root, lambda: None)
    assert reader.read() == {}
    grow("sys/class/hwmon/hwmon1", in0_lcrit_alarm=1)
    sensed = reader.read()["thermal"]
    assert (sensed.value, sensed.source) == (None, "/sys/class/hwmon: under-voltage")


@pytest.mark.parametrize(
    "text", ["", "error=1", "throttled=", "throttled=0xzz", "throttled=0x123456789", "ffffffff", "100"]
)
def test_what_is_no_number_is_unknown(grow: Grow, text: str) -> None:
    assert parse_flags(text) is None
    assert ThrottledReader(grow(), lambda: text).read() == {}


def test_the_board_is_told_by_its_name(grow: Grow) -> None:
    assert not is_raspberry_pi(grow())
    assert is_raspberry_pi(grow("proc/device-tree", model="Raspberry Pi 5 Model B Rev 1.0\0"))
    assert not is_raspberry_pi(grow("proc/device-tree", model="Radxa ROCK 5B\0"))
