"""A governor whose latency table is wrong, on a device that keeps to the true one: frames correct it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from random import Random

import pytest

from veca_edge.calibration.simulation.evaluate import Tables
from veca_edge.governor.governor import Governor
from veca_edge.governor.points import Front, OperatingPoint, operating_points
from veca_edge.governor.quality import LatencyTable, RunConfiguration
from veca_edge.sensors.state import DeviceState, ThermalLevel

SECONDS = 120
RATE = 30.0
JITTER = 0.01  # of frame times


@dataclass(frozen=True)
class Outcome:
    """The second half of a drive.

    Attributes:
        quality: mean, 0..1.
        late: share of seconds at a point that does not keep its frame rate.
        switches: of the point.
    """

    quality: float
    late: float
    switches: int


def drive(tables: Tables, known: LatencyTable, true: LatencyTable) -> Outcome:
    """A cool device, plugged in, whose governor knows one table while frames take the times of another."""
    real = {_key(point): point for point in operating_points(tables.quality, true, RATE)}
    governor = Governor(Front.of(operating_points(tables.quality, known, RATE)))
    random, seen = Random(0), list[OperatingPoint]()
    for second in range(SECONDS):
        state = DeviceState(float(second), 0.9, True, False, ThermalLevel.NOMINAL, 0.5)
        seen.append(real[_key(governor.decide(state).point)])
        for frame in range(round(seen[-1].rate)):
            keyframe = frame % 20 == 19 and seen[-1].patch_budget is not None
            patches = (seen[-1].image_size // 16) ** 2 if keyframe else round(seen[-1].patches)
            time = seen[-1].slow if keyframe else seen[-1].expected(patches)
            governor.frame(time * random.gauss(1, JITTER), patches)
    half = seen[SECONDS // 2 :]
    late = sum(point.slow * point.rate > 1 for point in half) / len(half)
    switches = sum(a != b for a, b in itertools.pairwise(half))
    return Outcome(sum(point.quality for point in half) / len(half), late, switches)


def _key(point: OperatingPoint) -> tuple[RunConfiguration, float]:
    return point.configuration, point.rate


@pytest.mark.parametrize("device", [0.5, 1.0, 1.8])
def test_a_profile_that_says_half_is_corrected(tables: Tables, device: float) -> None:
    true = tables.latency.scaled(device)
    right, wrong = drive(tables, true, true), drive(tables, true.scaled(0.5), true)
    assert (wrong.late, wrong.switches) == (0, 0)
    assert wrong.quality == pytest.approx(right.quality, abs=0.02)


@pytest.mark.parametrize("device", [0.5, 1.0, 1.8])
def test_a_profile_that_says_double_is_never_late_and_close(tables: Tables, device: float) -> None:
    """What the table says is too slow for its rate is on no ladder, so that much is not won back."""
    true = tables.latency.scaled(device)
    right, wrong = drive(tables, true, true), drive(tables, true.scaled(2.0), true)
    assert wrong.late == 0
    assert wrong.switches <= 1
    assert wrong.quality > right.quality - 0.1


@pytest.mark.parametrize("factor", [1 / 3, 3.0])
def test_one_wrong_configuration_makes_few_late_seconds(tables: Tables, factor: float) -> None:
    true = tables.latency.scaled(1.8)
    right = drive(tables, true, true)
    for configuration in sorted(true.configurations, key=str)[::5]:
        rows = [
            LatencyTable((row,)).scaled(factor).rows[0] if row.configuration == configuration else row
            for row in true.rows
        ]
        wrong = drive(tables, replace(true, rows=tuple(rows)), true)
        assert wrong.late <= 0.1, configuration
        assert wrong.quality > right.quality - 0.1, configuration
