"""Frequencies of big and little cores; watts from energy counters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Clock
from tests.sensors.conftest import Grow
from veca_edge.sensors.linux_cpu import (
    FIRST_SPAN,
    INTERVAL,
    MOST_POLICIES,
    RESCAN,
    CpufreqReader,
    PowercapReader,
    big_policies,
)
from veca_edge.sensors.platforms import energy_meter

POLICY = "sys/devices/system/cpu/cpufreq/policy"
CAP = "sys/class/powercap/intel-rapl"


def test_no_cpufreq(grow: Grow) -> None:
    assert CpufreqReader(grow()).read() == {}


def test_one_clock_for_all(grow: Grow) -> None:
    root = grow(f"{POLICY}0", scaling_cur_freq=900000, cpuinfo_max_freq=1800000, related_cpus="0 1 2 3")
    sensed = CpufreqReader(root).read()["frequency"]
    assert (sensed.value, sensed.source) == (0.5, "/sys/devices/system/cpu/cpufreq/{policy0}")


def test_big_cores_count_and_little_ones_do_not(grow: Grow) -> None:
    grow(f"{POLICY}0", scaling_cur_freq=300000, cpuinfo_max_freq=1800000, related_cpus="0 1 2 3")
    grow(f"{POLICY}4", scaling_cur_freq=1200000, cpuinfo_max_freq=2400000, related_cpus="4 5 6")
    root = grow(f"{POLICY}7", scaling_cur_freq=2800000, cpuinfo_max_freq=2800000, related_cpus="7")
    share = (3 * 1.2 + 2.8) / (3 * 2.4 + 2.8)
    assert CpufreqReader(root).read()["frequency"].value == pytest.approx(share)


def test_little_cores_with_nearly_the_same_clock_do_not_count(grow: Grow) -> None:
    """An RK3588: the clocks are at 0.78."""
    for core, midr in enumerate(["0x00000000412fd050"] * 4 + ["0x00000000414fd0b0"] * 4):
        grow(f"sys/devices/system/cpu/cpu{core}/regs/identification", midr_el1=midr)
    grow(f"{POLICY}0", scaling_cur_freq=408000, cpuinfo_max_freq=1800000, related_cpus="0 1 2 3")
    root = grow(f"{POLICY}4", scaling_cur_freq=2304000, cpuinfo_max_freq=2304000, related_cpus="4 5 6 7")
    assert CpufreqReader(root).read()["frequency"].value == 1


@pytest.mark.parametrize(
    "broken", ["9" * 400, 10**15, -5, 0, "nan", "\x00\x01", "7" * 2**20], ids=lambda text: str(text)[:5]
)
@pytest.mark.parametrize("name", ["scaling_cur_freq", "cpuinfo_max_freq"])
def test_one_broken_clock_is_left_out(grow: Grow, name: str, broken: object) -> None:
    grow(f"{POLICY}0", scaling_cur_freq=1000000, cpuinfo_max_freq=2000000, related_cpus="0")
    root = grow(f"{POLICY}1", scaling_cur_freq=2000000, cpuinfo_max_freq=2000000, related_cpus="1")
    grow(f"{POLICY}1", **{name: broken})
    assert CpufreqReader(root).read()["frequency"].value == 0.5


def test_cores_that_are_off_are_left_out(grow: Grow, tmp_path: Path) -> None:
    grow(f"{POLICY}0", scaling_cur_freq=1000, cpuinfo_max_freq=2000, related_cpus="0")
    root = grow(f"{POLICY}1", scaling_cur_freq=2000, cpuinfo_max_freq=2000, related_cpus="1")
    reader = CpufreqReader(root)
    assert reader.read()["frequency"].value == 0.75
    grow(f"{POLICY}1", scaling_cur_freq="")
    assert reader.read()["frequency"].value == 0.5
    grow(f"{POLICY}0", scaling_cur_freq="<unknown>")
    assert reader.read() == {}
    grow(f"{POLICY}1", scaling_cur_freq=1000)
    assert reader.read()["frequency"].value == 0.5


def test_a_maximum_of_nothing_is_no_maximum(grow: Grow) -> None:
    assert CpufreqReader(grow(f"{POLICY}0", scaling_cur_freq=1000, cpuinfo_max_freq=0)).read() == {}


def test_servers_are_sampled(grow: Grow, tmp_path: Path) -> None:
    for number in range(64):
        grow(f"{POLICY}{number}", cpuinfo_max_freq=3000000, scaling_cur_freq=1)
    names = [policy.name for policy in big_policies(str(tmp_path / "sys/devices/system/cpu/cpufreq"))]
    assert names == [f"policy{number}" for number in range(0, 64, 64 // MOST_POLICIES)]


def package(grow: Grow, number: int, energy: int | str, **more: Any) -> str:
    return grow(
        f"{CAP}:{number}", name=f"package-{number}", energy_uj=energy, max_energy_range_uj=1_000_000_000, **more
    )


def powercap(root: str, clock: Clock) -> PowercapReader:
    return PowercapReader(root, clock, pause=clock.advance)


def test_power_is_energy_over_time(grow: Grow, clock: Clock) -> None:
    root = package(grow, 0, 500_000_000)
    reader = powercap(root, clock)
    sensed = reader.read()["power"]
    assert (sensed.value, sensed.source) == (0.0, "/sys/class/powercap: package-0")
    clock.advance(2.0)
    package(grow, 0, 530_000_000)
    assert reader.read()["power"].value == pytest.approx(15.0)


def test_the_first_read_already_measures(grow: Grow, clock: Clock) -> None:
    root = package(grow, 0, 0)

    def pause(seconds: float) -> None:
        assert seconds == FIRST_SPAN
        clock.advance(seconds)
        package(grow, 0, 1_000_000)

    assert PowercapReader(root, clock, pause).read()["power"].value == pytest.approx(1.0 / FIRST_SPAN)


def test_a_counter_that_starts_over(grow: Grow, clock: Clock) -> None:
    root = package(grow, 0, 995_000_000)
    reader = powercap(root, clock)
    reader.read()
    clock.advance(1.0)
    package(grow, 0, 5_000_000)
    assert reader.read()["power"].value == pytest.approx(10.0)


def test_a_counter_that_goes_back_without_a_range_is_unknown(grow: Grow, clock: Clock) -> None:
    root = package(grow, 0, 995_000_000)
    grow(f"{CAP}:0", max_energy_range_uj=None)
    reader = powercap(root, clock)
    reader.read()
    clock.advance(1.0)
    package(grow, 0, 5_000_000)
    grow(f"{CAP}:0", max_energy_range_uj=None)
    assert reader.read()["power"].value is None


def test_packages_add_up_once_each(grow: Grow, clock: Clock) -> None:
    package(grow, 0, 0)
    package(grow, 1, 0)
    grow(f"{CAP}:0:0", name="core", energy_uj=0)  # part of the package
    grow(f"{CAP}:2", name="psys", energy_uj=0)  # contains the packages
    grow(CAP, name="intel-rapl")
    root = grow("sys/class/powercap/intel-rapl-mmio:0", name="package-0", energy_uj=0)  # the same one again
    reader = powercap(root, clock)
    reader.read()
    clock.advance(1.0)
    package(grow, 0, 7_000_000)
    package(grow, 1, 5_000_000)
    for other in (f"{CAP}:0:0", f"{CAP}:2", "sys/class/powercap/intel-rapl-mmio:0"):
        grow(other, energy_uj=900_000_000)
    assert reader.read()["power"].value == pytest.approx(12.0)


def test_the_platform_where_there_are_no_packages(grow: Grow, clock: Clock) -> None:
    reader = powercap(grow(f"{CAP}:1", name="psys", energy_uj=0), clock)
    reader.read()
    clock.advance(1.0)
    grow(f"{CAP}:1", energy_uj=30_000_000)
    assert reader.read()["power"].value == pytest.approx(30.0)


@pytest.mark.parametrize("text", ["", "-1", "nan", "12 34"])
def test_nonsense_is_unknown_and_mends(grow: Grow, clock: Clock, text: str) -> None:
    root = package(grow, 0, 0)
    reader = powercap(root, clock)
    reader.read()
    for content in (text, 10_000_000, 13_000_000):
        clock.advance(1.0)
        package(grow, 0, content)
        last = reader.read()["power"].value
    assert last == pytest.approx(3.0)


def test_a_clock_that_stands_still_divides_by_nothing(grow: Grow, clock: Clock) -> None:
    root = package(grow, 0, 0)
    assert PowercapReader(root, clock, pause=lambda _: None).read()["power"].value is None


def test_counters_that_may_not_be_read_are_unknown_with_the_reason(
    grow: Grow, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = package(grow, 0, 0)

    def refuse(path: str, *rest: int) -> int | None:
        if str(path).endswith("energy_uj"):
            raise PermissionError(13, "Permission denied")
        return original(path, *rest)

    original = os.open
    monkeypatch.setattr(os, "open", refuse)
    reader = powercap(root, clock)
    sensed = reader.read()["power"]
    assert (sensed.value, sensed.source) == (None, "/sys/class/powercap: permission denied")
    assert reader.interval == RESCAN  # hardly a hope
    monkeypatch.undo()
    assert reader.read()["power"].value == 0.0
    assert reader.interval == INTERVAL


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may read everything")
def test_the_kernel_refuses_in_the_same_way(grow: Any, clock: Any) -> None:
    root = package(grow, 0, 0)
    (Path(root) / f"{CAP}:0" / "energy_uj").chmod(0)
    assert powercap(root, clock).read()["power"].source.endswith("permission denied")


def test_joules_are_counted_between_two_questions(grow: Grow) -> None:
    package(grow, 0, 999_000_000)
    root = package(grow, 1, 5_000_000)
    joules = energy_meter(root)
    assert joules() is None
    package(grow, 0, 2_000_000)  # started over
    package(grow, 1, 5_500_000)
    assert joules() == pytest.approx(3.0 + 0.5)
    assert joules() == 0
    package(grow, 1, "broken")
    assert joules() is None


def test_joules_without_a_counter_are_unknown(grow: Grow) -> None:
    joules = energy_meter(grow())
    assert (joules(), joules()) == (None, None)
    grow(f"{CAP}:0", name="package-0")
    assert (joules(), joules()) == (None, None)  # a counter that is not for everyone looks like one that is missing
    package(grow, 0, 1_000_000)
    assert joules() is None
    package(grow, 0, 3_000_000)
    assert joules() == pytest.approx(2.0)
