"""Timing run configurations, with a model whose time the test knows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.governor.quality import RunConfiguration
from veca_edge.runtime import timing
from veca_edge.runtime.timing import FEWEST, MOST, WARM_UP, Run, filled, thinned, time_configurations

CONFIGURATIONS = [
    RunConfiguration(cores, size, budget)
    for size in (256, 128)
    for budget in ((size // 16) ** 2, 48, 16)
    for cores in (64, 32, 16, 8)
]
PROMISED = 20.0  # seconds, in the help of `veca-edge profile`
FRAMES = [np.zeros((16, 16, 3), np.uint8)] * (MOST + WARM_UP)


@dataclass
class Timed:
    """A result of which only the time and the patches are read."""

    latency: float
    computed: NDArray[np.bool_]

    @property
    def features(self) -> Float:
        raise AssertionError("only for results outside of streams")


class Device:
    """A full frame takes `pace` at 256 px and 64 cores; cost is linear in cores and patches, with a floor."""

    def __init__(self, pace: float) -> None:
        self.pace, self.opened, self.spent = pace, list[RunConfiguration](), 0.0

    def seconds(self, configuration: RunConfiguration, patches: int) -> float:
        return self.pace * (0.2 + 0.8 * patches / 256) * (0.5 + 0.5 * configuration.cores / 64)

    def open(self, configuration: RunConfiguration) -> Run:
        self.opened.append(configuration)
        frames, budget = iter(range(10**6)), configuration.patch_budget or 0

        def run(frame: Image) -> Timed:
            count = budget // 2 if next(frames) else (configuration.image_size // 16) ** 2
            computed = np.arange((configuration.image_size // 16) ** 2) < count
            latency = self.seconds(configuration, count)
            self.spent += latency
            return Timed(latency, computed)

        return run  # type: ignore[return-value]


def test_a_quick_device_times_every_configuration_over_many_frames() -> None:
    device, told = Device(0.008), list[float]()
    rows, timed = time_configurations(device.open, CONFIGURATIONS, FRAMES, told.append)
    assert [row.configuration for row in rows] == CONFIGURATIONS
    assert timed == len(CONFIGURATIONS)
    assert told == sorted(told)
    assert told[-1] == 1
    for row in rows:
        assert row.p50 == pytest.approx(device.seconds(row.configuration, (row.patch_budget or 0) // 2))
    assert device.spent < timing.SECONDS


def test_a_disturbance_in_one_pass_does_not_count() -> None:
    device, calls = Device(0.004), 0

    def disturbed(configuration: RunConfiguration) -> Run:
        nonlocal calls
        calls += 1
        run = device.open(configuration)
        # Opened for the pace, to warm up, and once per configuration and pass: every one of the first pass is slow.
        slow = 4 < calls <= 4 + len(CONFIGURATIONS)

        def slower(frame: Image) -> Timed:
            result = run(frame)
            return Timed(3 * result.latency, result.computed) if slow else result  # type: ignore[return-value,arg-type]

        return slower  # type: ignore[return-value]

    rows, _ = time_configurations(disturbed, CONFIGURATIONS, FRAMES)
    for row in rows:
        assert row.p50 == pytest.approx(device.seconds(row.configuration, (row.patch_budget or 0) // 2))


@pytest.mark.parametrize("pace", [0.2, 0.5])
def test_a_slow_device_times_the_ends_and_the_rest_lies_between(pace: float) -> None:
    device = Device(pace)
    rows, timed = time_configurations(device.open, CONFIGURATIONS, FRAMES)
    assert [row.configuration for row in rows] == CONFIGURATIONS
    assert timed < len(CONFIGURATIONS)
    assert device.spent < PROMISED
    for row in rows:  # linear here, so that what is interpolated must be right
        expected = device.seconds(row.configuration, (row.patch_budget or 0) // 2)
        assert row.p50 == pytest.approx(expected, rel=0.02)
        assert row.computed == pytest.approx((row.patch_budget or 0) // 2, abs=1)


@pytest.mark.parametrize("pace", [0.004, 0.3])
def test_energy_is_that_of_the_timed_frames(pace: float) -> None:
    device, asked = Device(pace), [0.0]

    def meter() -> float:
        asked.append(device.spent)
        return 5.0 * (asked[-1] - asked[-2])  # 5 W

    rows, timed = time_configurations(device.open, CONFIGURATIONS, FRAMES, meter=meter)
    assert (timed < len(CONFIGURATIONS)) == (pace > 0.1)
    for row in rows:
        assert row.joules == pytest.approx(5.0 * row.mean)


@pytest.mark.parametrize("tells", [None, 0.0, 1e-5, 1e9, math.nan])
def test_a_counter_that_tells_nothing_is_none(tells: float | None) -> None:
    rows, _ = time_configurations(Device(0.3).open, CONFIGURATIONS, FRAMES, meter=lambda: tells)
    assert {row.joules for row in rows} == {None}


def test_configurations_are_given_up_one_dial_after_the_other() -> None:
    assert thinned(CONFIGURATIONS, 0.001) == CONFIGURATIONS
    middle = thinned(CONFIGURATIONS, 0.3)
    assert {one.cores for one in middle} == {8, 64}
    assert {one.patch_budget for one in middle} == {256, 64, 48, 16}
    few = thinned(CONFIGURATIONS, 10.0)
    assert {one.patch_budget for one in few} == {256, 64, 16}
    assert thinned([RunConfiguration(8, 128)], 10.0) == [(8, 128, None)]


def test_configurations_without_memory_are_interpolated_in_cores_only() -> None:
    low, high = (
        timing.latency_row(RunConfiguration(cores, 128), [t] * FEWEST, [64] * FEWEST)
        for cores, t in ((8, 1), (64, 2))
    )
    (row,) = filled([low, high], [RunConfiguration(36, 128)])
    assert (row.p50, row.computed) == pytest.approx((1.5, 64))


def test_a_line_through_partial_frames() -> None:
    computed = [256, 10, 20, 30, 40, 50, 60, 0]
    times = [0.1, *(0.002 + 0.0001 * n for n in computed[1:-1]), 0.0005]
    row = timing.latency_row(RunConfiguration(8, 256, 96), times, computed)
    assert (row.base, row.patch_time) == pytest.approx((0.002, 0.0001))
