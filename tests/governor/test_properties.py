"""What must hold for any input."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from time import process_time
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.governor.conftest import TABLE
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.governor.points import SAVING, Front, OperatingPoint, operating_points
from veca_edge.governor.policy import decide
from veca_edge.governor.settings import BALANCED, PRESETS, Settings
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState, ThermalLevel

_TABLES = read_tables(TABLE)
FRONT = Front.of(operating_points(_TABLES.quality, _TABLES.latency, 30))
# Seeded by the test: the same examples everywhere, so that a change is never blamed for another one's luck.
quick = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

anything = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1), st.booleans(), st.integers(-5, 5)
)
levels = st.one_of(st.none(), st.sampled_from(ThermalLevel))
maybe = st.one_of(st.none(), st.floats(0, 1.5), st.just(math.nan))
charges = st.one_of(st.none(), st.floats(0, 1))
presets = st.sampled_from(list(PRESETS.values()))
frame_statistics = st.one_of(
    st.just(FrameStatistics()),
    st.builds(
        FrameStatistics,
        count=st.integers(0, 60),
        p50=st.floats(0, 0.2),
        p95=st.floats(0, 0.4),
        misses=st.integers(0, 60),
        pace=st.one_of(st.none(), st.floats(0.1, 8)),
    ),
)
wild_frames = st.builds(
    FrameStatistics, count=st.integers(-3, 60), p50=anything, p95=anything, misses=st.integers(), pace=anything
)
sane_states = st.builds(
    DeviceState,
    time=st.floats(0, 5),
    battery=charges,
    charging=st.sampled_from((None, False, True)),
    low_power=st.sampled_from((None, False, True)),
    thermal=levels,
    headroom=maybe,
    forecast=maybe,
)
wild_states = st.builds(
    DeviceState,
    time=anything,
    battery=anything,
    charging=anything,
    low_power=anything,
    thermal=anything,
    headroom=anything,
    forecast=anything,
    temperatures=st.lists(st.tuples(st.sampled_from(("skin", "cpu", "")), anything), max_size=3).map(tuple),
    frequency=anything,
    power=anything,
)


def follow(states: list[Any], frames: list[Any], weights: Settings) -> tuple[Any, ...]:
    """The decision after several states, each some seconds after the one before."""
    last, time = None, 0.0
    for state, seen in zip(states, frames, strict=False):
        time += state.time * 20
        last = decide(replace(state, time=time), last, seen, FRONT, weights)
    return last, time


histories = st.lists(sane_states, min_size=0, max_size=12)
frame_lists = st.lists(frame_statistics, min_size=12, max_size=12)


@quick
@given(st.lists(st.tuples(wild_states, wild_frames), min_size=1, max_size=15), presets)
def test_nothing_unknown_or_impossible_does_harm(inputs: list[Any], weights: Settings) -> None:
    last = None
    for state, frames in inputs:
        last = decide(state, last, frames, FRONT, weights)
        assert last.point in FRONT.points
        assert last.reason
        assert "\n" not in last.reason
        for name in ("settled", "ceiling", "trend", "unread"):
            assert math.isfinite(getattr(last.memory, name))
        assert 0 <= last.memory.ceiling <= 1


def hotter(state: DeviceState, level: ThermalLevel, headroom: float, forecast: float) -> DeviceState:
    """At least as hot in every respect; what is unknown stays so."""
    return replace(
        state,
        thermal=None if state.thermal is None else max(state.thermal, level),
        headroom=None if state.headroom is None else state.headroom + headroom,
        forecast=None if state.forecast is None else state.forecast + forecast,
    )


@settings(quick, max_examples=500)
@given(
    histories,
    frame_lists,
    sane_states,
    frame_statistics,
    st.sampled_from(ThermalLevel),
    st.floats(0, 1),
    st.floats(0, 1),
    presets,
)
def test_more_heat_never_raises_power(
    history: list[Any],
    seen: list[Any],
    state: DeviceState,
    frames: FrameStatistics,
    level: ThermalLevel,
    headroom: float,
    forecast: float,
    weights: Settings,
) -> None:
    previous, time = follow(history, seen, weights)
    now = replace(state, time=time + state.time)
    cool = decide(now, previous, frames, FRONT, weights)
    hot = decide(hotter(now, level, headroom, forecast), previous, frames, FRONT, weights)
    assert hot.point.power <= cool.point.power
    assert hot.memory.ceiling <= cool.memory.ceiling + 1e-12


@settings(quick, max_examples=500)
@given(histories, frame_lists, sane_states, frame_statistics, st.floats(0, 1), st.floats(0, 1), presets)
def test_more_battery_never_lowers_quality(
    history: list[Any],
    seen: list[Any],
    state: DeviceState,
    frames: FrameStatistics,
    charge: float,
    more: float,
    weights: Settings,
) -> None:
    previous, time = follow(history, seen, weights)
    low = replace(state, time=time + state.time, battery=charge)
    high = replace(low, battery=min(1.0, charge + more))
    quality = [decide(one, previous, frames, FRONT, weights).point.quality for one in (low, high)]
    assert quality[0] <= quality[1]


@settings(quick, max_examples=60)
@given(histories, frame_lists, sane_states, st.floats(0.5, 3), presets)
def test_constant_input_comes_to_rest(
    history: list[Any], seen: list[Any], state: DeviceState, slowdown: float, weights: Settings
) -> None:
    """However it started: hardly a turn, and after an hour only climbs, as the device's best is forgotten."""
    last, time = follow(history, seen, weights)
    indices = []
    for second in range(0, 7200, 5):
        now = replace(state, time=time + second)
        point = FRONT.points[-1] if last is None else last.point
        frames = FrameStatistics(30, point.latency * slowdown, point.slow * slowdown, 0, slowdown)
        last = decide(now, last, frames, FRONT, weights)
        indices.append(last.memory.index)
    turns = [b - a for a, b in pairwise(indices) if a != b]
    assert sum(x * y < 0 for x, y in pairwise(turns)) <= 2
    assert indices[720:] == sorted(indices[720:])


points = st.builds(
    OperatingPoint,
    cores=st.sampled_from((8, 16, 32, 64)),
    image_size=st.sampled_from((128, 256)),
    patch_budget=st.sampled_from((None, 16, 96)),
    rate=st.sampled_from((5.0, 10.0, 30.0)),
    quality=st.floats(0, 1),
    latency=st.floats(0.001, 0.2),
    slow=st.floats(0.001, 0.3),
    power=st.floats(0.01, 5),
)


@quick
@given(st.lists(points, min_size=1, max_size=25), st.floats(0, 0.05))
def test_every_ladder_ascends_and_stays_in_time(given_points: list[Any], indifference: float) -> None:
    front = Front.of(given_points, indifference)
    assert set(front.points) <= set(given_points)
    assert list(front.relative) == sorted(front.relative)
    assert front.relative[-1] == 1
    for k, ladder in enumerate(front.ladders):
        chosen = [front.points[index] for index in ladder.indices]
        assert all(a.power < b.power and a.quality < b.quality for a, b in pairwise(chosen))
        assert all(a.power <= (1 - SAVING) * b.power for a, b in pairwise(chosen[1:]))
        assert all(point.slow * point.rate * 1.05**k <= 1 for point in chosen)
        able = [point for point in given_points if point.slow * point.rate * 1.05**k <= 1]
        if able:
            best = max(point.quality for point in able)
            assert chosen[-1].quality >= best - indifference - 0.002


@quick
@given(st.lists(points, min_size=1, max_size=12), sane_states, sane_states, frame_statistics)
def test_any_points_will_do(
    given_points: list[Any], first: DeviceState, second: DeviceState, frames: FrameStatistics
) -> None:
    front = Front.of(given_points)
    last = decide(second, decide(first, None, FrameStatistics(), front, BALANCED), frames, front, BALANCED)
    assert last.point in given_points
    assume(second.thermal is ThermalLevel.CRITICAL)
    assert last.point.power == min(point.power for point in given_points)


def test_decisions_are_cheap() -> None:
    """A minute of a processor's time for a million of them, whatever else it does."""
    last, start, count = None, process_time(), 50_000
    frames = [FrameStatistics(30, 0.02, 0.03, 0, 1 + index / 100) for index in range(50)]
    for second in range(count):
        state = DeviceState(float(second), 0.2, False, False, ThermalLevel.FAIR, 0.8 + second % 300 / 1000, 0.9)
        last = decide(state, last, frames[second % 50], FRONT, BALANCED)
    assert process_time() - start < 60 * count / 1e6
