from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.calibration.benchmark.small_models import measured_facts
from tests.fakes import Clock
from veca_edge.calibration.benchmark.power import LEAD, energy_mj, power_source
from veca_edge.calibration.benchmark.sustained import (
    BINS,
    BLOCK,
    Lane,
    SustainedBenchmark,
    endurance,
    run_lanes,
    verdict,
)
from veca_edge.calibration.benchmark.sustained_report import describe_sustained
from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.reading import PlainReader, Sensed
from veca_edge.sensors.state import DeviceState, ThermalLevel


class Meter(PlainReader):
    """A sensor that tells the power, or nothing."""

    name = "meter"

    def __init__(self, watts: float | None) -> None:
        self.watts = watts

    def read(self) -> dict[str, Any]:
        return {} if self.watts is None else {"power": Sensed(self.watts, "a meter")}


def lane_that_slows_down(clock: Clock, cores: int, slower: float = 0.0) -> Lane:
    """Calls of 10 ms that take so much longer per second of the clock."""

    def call() -> None:
        clock.now += 0.010 * (1 + slower * clock.now)

    return Lane(cores, 256, call)


def run(
    seconds: float, slower: float = 0.0, lanes: int = 1, state: Callable[..., Any] = lambda: DeviceState(0.0)
) -> tuple[Any, ...]:
    clock = Clock(0.0)
    made = [lane_that_slows_down(clock, 8 * (index + 1), slower) for index in range(lanes)]
    conditions, took = run_lanes(made, seconds, state, clock=clock)
    return made, conditions, took


def test_lanes_are_interleaved_in_blocks() -> None:
    (few, many), _, took = run(12.0, lanes=2)
    assert took == pytest.approx(12.0, abs=0.011)
    assert [len(lane.taken) for lane in (few, many)] == pytest.approx([600, 600], abs=3)
    assert few.begun[0] == 0
    assert many.begun[0] == pytest.approx(BLOCK, abs=0.011)
    later = [when for when in few.begun if when > BLOCK + 0.02]
    assert later[0] == pytest.approx(2 * BLOCK, abs=0.03)


def test_drift_compares_the_last_fifth_with_the_first() -> None:
    (lane,), _, _ = run(60.0, slower=1 / 60)  # twice as slow in the end
    found = endurance(lane)
    # Slower calls are fewer: the n-th of N takes 2 ** (n / N) times as long as the first.
    assert (found.first, found.last) == pytest.approx((10 * 2**0.1, 10 * 2**0.9), rel=0.01)
    assert found.drift == pytest.approx(found.last / found.first)
    assert verdict(found.drift) == f"{found.drift - 1:.0%} slower"
    assert len(found.history) == BINS
    assert found.history[-1].p50 == pytest.approx(20, abs=0.3)
    assert [moment.minute for moment in found.history] == sorted(moment.minute for moment in found.history)


@pytest.mark.parametrize(
    ("drift", "words"), [(1.04, "steady"), (0.96, "steady"), (1.3, "30% slower"), (0.8, "20% faster")]
)
def test_verdict(drift: float, words: str) -> None:
    assert verdict(drift) == words


def test_an_interrupt_keeps_what_was_measured() -> None:
    clock = Clock(0.0)

    def call() -> None:
        clock.now += 0.01
        if clock.now > 1:
            raise KeyboardInterrupt

    lane = Lane(8, 256, call)
    _, took = run_lanes([lane], 60.0, lambda: DeviceState(0.0), clock=clock)
    assert len(lane.begun) == len(lane.taken) == pytest.approx(100, abs=1)
    assert took == pytest.approx(1.0, abs=0.011)


def a_result(minutes: float = 0.5, watts: float | None = None) -> SustainedBenchmark:
    """Half a minute on a device that warms from 40 to 55 degrees while its clock falls to 80 %."""
    clock = Clock(0.0)
    lane = lane_that_slows_down(clock, 64, slower=1 / 30)

    def state() -> DeviceState:
        share = clock.now / 30
        temperatures = (("skin", 30.0), ("soc", 40 + 15 * share))
        return DeviceState(
            clock.now, None, None, None, ThermalLevel.FAIR, None, None, temperatures, 1 - share / 5, watts
        )

    conditions, seconds = run_lanes([lane], 30.0, state, clock=clock)
    return SustainedBenchmark(
        **measured_facts(),
        minutes=seconds / 60,
        asked_minutes=minutes,
        picture="a frame",
        points=(endurance(lane),),
        conditions=tuple(conditions),
        power=None if watts is None else "a meter",
        energy_mj=None if watts is None else 55.0,
    )


def test_the_report_says_what_the_device_did() -> None:
    text = describe_sustained(a_result()).text()
    assert " slower\n" in text
    assert "hottest sensor             40.0 °C     52.5 °C" in text
    assert "clock, of the highest         100%         83%" in text
    assert "power                      unknown     unknown" in text
    assert "thermal level                 fair        fair" in text
    assert "Energy: unknown" in text
    assert "SHA-256: program abababababababab. Seed: 0." in text
    assert "Energy per call, mean over all: 55 mJ." in describe_sustained(a_result(watts=5.0)).text()
    assert max(map(len, text.splitlines())) <= 100


def test_the_report_admits_an_interrupt_and_other_work() -> None:
    result = replace(a_result(minutes=30), other_work=1.0)
    interrupted, others = describe_sustained(result).warnings
    assert interrupted == "interrupted after 0.5 of 30 minutes"
    assert others.endswith("a drift may be theirs")


@pytest.mark.parametrize(("watts", "expected"), [(12.0, 120.0), (None, None)])
def test_energy_is_power_times_time_by_calls(watts: float | None, expected: float | None) -> None:
    clock = Clock(0.0)

    def call() -> None:
        clock.now += 0.01

    with Monitor([Meter(watts)]) as monitor:
        assert monitor.wait(5.0)
        assert power_source(monitor) == (None if watts is None else "a meter")
        assert energy_mj(call, monitor, clock) == (None if expected is None else pytest.approx(expected))
    assert (clock.now > LEAD) == (watts is not None)
