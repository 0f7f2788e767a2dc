"""What the policy does in single situations, decision by decision."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.known import known
from veca_edge.governor.governor import Governor
from veca_edge.governor.points import Front, OperatingPoint
from veca_edge.governor.policy import decide
from veca_edge.governor.settings import BALANCED, QUALITY, SAVER, Settings
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState, ThermalLevel

NOTHING = FrameStatistics()
COOL = DeviceState(0.0, 0.9, False, False, ThermalLevel.NOMINAL, 0.5)
USUAL = FrameStatistics(30, 0.01, 0.012, 0, 1.0)


def run(
    front: Front, states: list[Any], settings: Settings = BALANCED, frames: FrameStatistics = NOTHING
) -> list[Any]:
    """Decisions for one state after another."""
    decisions: list[Any] = []
    for state in states:
        decisions.append(decide(state, decisions[-1] if decisions else None, frames, front, settings))
    return decisions


def lasting(state: DeviceState, seconds: int, start: int = 0) -> list[Any]:
    return [replace(state, time=float(start + second)) for second in range(seconds)]


def test_a_cool_full_phone_runs_at_its_best(front: Front) -> None:
    first = run(front, [COOL])[0]
    assert first.point == front.points[-1]
    assert first.reason == "start: C 64, 256 px, all patches, 30 fps"
    assert run(front, lasting(COOL, 100))[-1].reason == "nothing in the way of C 64, 256 px, all patches, 30 fps"


def test_serious_heat_halves_the_power_and_says_so(front: Front) -> None:
    hot = replace(COOL, thermal=ThermalLevel.SERIOUS, headroom=None)
    *_, before, glitch, reaction = run(front, [*lasting(replace(COOL, headroom=None), 5), *lasting(hot, 2, 5)])
    assert before.point == front.points[-1]
    assert glitch.memory.ceiling > 0.5 >= reaction.memory.ceiling
    assert reaction.point.power <= 0.5 * before.point.power
    assert re.match(r"serious heat: (C \d+ → \d+|patches all → \d+)", glitch.reason)


def test_rates_are_said_with_a_decimal_at_most(points: list[OperatingPoint]) -> None:
    front = Front.of([replace(point, rate=point.rate * 29.97 / 30) for point in points])
    critical = replace(COOL, time=1.0, thermal=ThermalLevel.CRITICAL)
    assert run(front, [COOL, critical])[-1].reason.endswith("30 → 5 fps")
    assert run(front, [critical])[0].reason.endswith(" 5 fps")


@pytest.mark.parametrize("settings", [BALANCED, QUALITY, SAVER])
def test_critical_heat_acts_in_the_same_decision(front: Front, settings: Settings) -> None:
    critical = replace(COOL, time=1.0, thermal=ThermalLevel.CRITICAL)
    for states in ([critical], [COOL, critical]):
        last = run(front, states, settings)[-1]
        assert last.point == front.points[0]
        assert last.point.rate == min(point.rate for point in front.points)
        assert last.stop_camera


def test_after_critical_heat_it_climbs_slowly(front: Front) -> None:
    critical = replace(COOL, thermal=ThermalLevel.CRITICAL, headroom=None)
    cool = replace(COOL, headroom=None)
    decisions = run(front, [*lasting(critical, 3), *lasting(cool, 900, 3)])
    assert not decisions[3].stop_camera
    rates = [front.points.index(decision.point) for decision in decisions]
    assert max(rates[:60]) <= 12
    assert rates[-1] == len(front.points) - 1
    assert rates[3:] == sorted(rates[3:])


def test_rising_headroom_is_answered_before_it_arrives(front: Front) -> None:
    states = [replace(COOL, time=float(t), headroom=0.6 + 0.0012 * t) for t in range(240)]
    decisions = run(front, states)
    first = next(index for index, decision in enumerate(decisions) if decision.point != front.points[-1])
    assert known(states[first].headroom) < BALANCED.heat_target - 0.02
    assert decisions[first].reason.startswith("rising heat: ")


def test_a_platforms_forecast_counts(front: Front) -> None:
    warned = replace(COOL, forecast=1.1)
    assert run(front, lasting(warned, 60))[-1].memory.ceiling < run(front, lasting(COOL, 60))[-1].memory.ceiling


def test_a_skin_temperature_stands_in_for_headroom(front: Front) -> None:
    warm = DeviceState(0.0, temperatures=(("skin-therm", 46.0), ("cpu0", 95.0)))
    busy = DeviceState(0.0, temperatures=(("cpu0", 95.0),))
    assert run(front, lasting(warm, 120))[-1].point.power < front.points[-1].power
    assert run(front, lasting(busy, 120))[-1].point == front.points[-1]


def test_battery_trades_quality_for_hours_and_charging_does_not(front: Front) -> None:
    def chosen(charge: float, charging: bool = False, low_power: bool = False) -> OperatingPoint:
        point: OperatingPoint = run(front, [DeviceState(0.0, charge, charging, low_power)])[0].point
        return point

    assert chosen(0.3) == front.points[-1]
    assert chosen(0.3).power > chosen(0.2).power > chosen(0.1).power == chosen(0.01).power
    assert chosen(0.8, low_power=True).power <= 0.5 * front.points[-1].power
    assert chosen(0.05, charging=True, low_power=True) == front.points[-1]


def test_cores_go_first(front: Front) -> None:
    """A little less power costs cores and nothing else."""
    less = decide(COOL, None, NOTHING, front, replace(BALANCED, most_power=0.97)).point
    best = front.points[-1]
    assert less.cores < best.cores
    assert (less.image_size, less.patch_budget, less.rate) == (best.image_size, best.patch_budget, best.rate)


def test_slow_frames_are_throttling_while_the_state_reads_nominal(front: Front) -> None:
    nominal = replace(COOL, headroom=None)
    slow = FrameStatistics(30, 0.02, 0.03, 10, 1.6)
    calm = run(front, lasting(nominal, 30), frames=USUAL)[-1]
    last = calm
    for second in range(30, 60):
        last = decide(replace(nominal, time=float(second)), last, slow, front, BALANCED)
    assert last.memory.ceiling < 0.7
    assert last.point.slow * last.point.rate * last.memory.slowdown < 1


def test_without_thermal_sensors_slow_frames_only_move_the_deadline(front: Front) -> None:
    slow = FrameStatistics(30, 0.02, 0.03, 10, 1.6)
    last = None
    for second in range(60):
        last = decide(DeviceState(float(second)), last, USUAL if second < 30 else slow, front, BALANCED)
    last = known(last)
    assert last.memory.ceiling == 1
    assert last.point.slow * last.point.rate * known(last.memory.slowdown) < 1


def test_a_moving_scene_is_not_a_slow_device(front: Front) -> None:
    """Long frames of a stream, but as long as their patches explain, or without a word on them."""
    stream = next(p for p in front.points if p.patch_budget is not None and p.rate == 30)
    previous = decide(replace(COOL, battery=0.15), None, NOTHING, front, BALANCED)
    assert previous.point.patch_budget is not None
    long = stream.latency * 2
    explained = FrameStatistics(30, long, stream.slow, 0, 1.0)
    unexplained = FrameStatistics(30, long, stream.slow, 0, None)
    for frames in (explained, unexplained):
        after = decide(replace(COOL, time=1.0, battery=0.15), previous, frames, front, BALANCED)
        assert after.memory.slowdown in (None, 1.0)


def test_a_device_slower_than_its_table_finds_points_in_time(front: Front) -> None:
    last = None
    for second in range(120):
        point = front.points[-1] if last is None else last.point
        frames = FrameStatistics(30, point.latency * 2, point.slow * 2, 30, 2.0)
        last = decide(replace(COOL, time=float(second)), last, frames, front, BALANCED)
    last = known(last)
    assert last.point.slow * 2 * last.point.rate <= BALANCED.deadline_share
    assert last.memory.ceiling == 1  # it has always been like that: no throttling


@pytest.mark.parametrize("clock", [math.nan, None, 5.0])
def test_a_clock_that_does_not_run_is_no_obstacle(front: Front, clock: float | None) -> None:
    cool = replace(COOL, time=clock)  # type: ignore[arg-type]
    last = run(front, [cool, *[replace(cool, headroom=1.2)] * 200])[-1]
    if clock == 5.0:
        assert last.memory.ceiling == 1  # no time has passed
    else:
        assert last.point.power < 0.2 * front.points[-1].power


def test_presets_differ_in_the_direction_of_their_names(front: Front) -> None:
    state = DeviceState(0.0, 0.12, False, False, ThermalLevel.NOMINAL, 0.5)
    power = [decide(state, None, NOTHING, front, settings).point.power for settings in (SAVER, BALANCED, QUALITY)]
    assert power == sorted(power)
    assert power[0] < power[1] < power[2]


def test_the_shell_gathers_frames_and_calls_back_once(front: Front) -> None:
    calls: list[Any] = []
    governor = Governor(front, on_critical=calls.append)
    assert governor.point == front.points[0]
    governor.decide(COOL)
    for _ in range(10):
        governor.frame(governor.point.latency * 1.5, computed=256)
    governor.decide(replace(COOL, time=1.0))
    assert known(governor.last).memory.slowdown == pytest.approx(1.5)
    for second in (2.0, 3.0):
        governor.decide(replace(COOL, time=second, thermal=ThermalLevel.CRITICAL))
    assert len(calls) == 1
    assert calls[0].stop_camera
    assert governor.point == front.points[0]


def test_few_frames_wait_for_more(front: Front) -> None:
    governor = Governor(front)
    for second in range(3):
        governor.decide(replace(COOL, time=float(second)))
        assert known(governor.last).memory.slowdown is None
        for _ in range(2):
            governor.frame(governor.point.latency * 1.2, computed=256)
    governor.decide(replace(COOL, time=4.0))
    assert known(governor.last).memory.slowdown == pytest.approx(1.2)
