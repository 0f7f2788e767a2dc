"""One operating point for a frame rate, with its neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from veca_edge.errors import VecaError
from veca_edge.governor.points import OperatingPoint
from veca_edge.governor.recommendation import recommend

RATE = 20.0


def point(cores: int, quality: float, seconds: float) -> OperatingPoint:
    return OperatingPoint(cores, 128, None, RATE, quality, seconds, 1.2 * seconds, seconds * RATE)


FAST, LESS, GOOD, SAME, SLOW = (
    point(8, 0.80, 0.005),
    point(16, 0.90, 0.010),
    point(32, 0.975, 0.020),
    point(48, 0.980, 0.035),
    point(64, 1.000, 0.050),
)


def test_the_cheapest_of_the_best_that_keeps_the_rate() -> None:
    advice = recommend([SLOW, SAME, GOOD, LESS, FAST])
    assert advice.point == GOOD  # SAME is better by less than anyone sees, and costs nearly twice as much
    assert advice.cheaper == (LESS, FAST)
    assert advice.better == SAME


def test_what_is_better_but_too_slow_is_shown() -> None:
    assert recommend([SLOW, GOOD, FAST]).better == SLOW
    assert recommend([GOOD, FAST]).better is None


def test_a_device_that_is_too_slow_is_told_its_fastest_point() -> None:
    slow = [replace(p, latency=10 * p.latency, slow=10 * p.slow) for p in (SLOW, FAST)]
    advice = recommend(slow)
    assert (advice.point, advice.better) == (None, slow[1])


def test_points_of_one_rate_only() -> None:
    with pytest.raises(VecaError, match="several frame rates"):
        recommend([FAST, replace(GOOD, rate=10.0)])
    with pytest.raises(VecaError, match="no operating points"):
        recommend([])
