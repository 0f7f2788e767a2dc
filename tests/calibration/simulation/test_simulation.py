"""The simulated device, and the promises of the governor in it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.governor.conftest import TABLE
from tests.known import known
from veca_edge.calibration.simulation.baselines import BASELINES, POLICIES, build_policy
from veca_edge.calibration.simulation.device import Body, Hardware, Load, Surroundings, step
from veca_edge.calibration.simulation.evaluate import Score, Tables, score, simulate
from veca_edge.calibration.simulation.plot import draw_runs
from veca_edge.calibration.simulation.promises import check_promises
from veca_edge.calibration.simulation.replay import replay
from veca_edge.calibration.simulation.scenarios import SCENARIOS
from veca_edge.calibration.simulation.sensors import Reader, Sensors
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.errors import VecaError
from veca_edge.governor.points import OperatingPoint, operating_points
from veca_edge.governor.settings import BALANCED
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState, ThermalLevel


def heated(load: Load, seconds: int, hardware: Hardware | None = None, body: Body | None = None) -> Body:
    body = body or Body.at(load.around.ambient, 1.0)
    for _ in range(seconds):
        body = step(body, load, hardware or Hardware(), 1.0)
    return body


def test_the_case_settles_where_the_sources_say() -> None:
    """3.5 W of processor power and 0.9 W of the rest in a room of 22 degrees: 43 degrees."""
    hardware = Hardware(idle=0, dynamic=3.5, throttle_start=90)
    body = heated(Load(1, 0), 3600, hardware)
    assert body.case == pytest.approx(43, abs=0.2)
    minutes = [heated(Load(1, 0), seconds, hardware).body for seconds in (540, 7200)]
    assert (minutes[0] - 22) / (minutes[1] - 22) == pytest.approx(1 - math.exp(-1), abs=0.05)


def test_a_hot_case_lowers_the_clock_and_a_lower_clock_cools() -> None:
    load = Load(1, 30, Surroundings(ambient=35))
    free, throttled = (heated(load, 3600, hardware) for hardware in (Hardware(throttle_start=90), Hardware()))
    assert throttled.clock < 0.95
    assert throttled.case < free.case
    assert throttled.work < free.work


def test_the_battery_empties_and_fills() -> None:
    body = heated(Load(0.5, 30), 3600)
    assert 1 - body.charge == pytest.approx(body.power / 19.3, rel=0.02)
    assert heated(Load(0.5, 30, Surroundings(charging=True)), 600, body=body).charge > body.charge
    assert heated(Load(1, 30), 60, body=replace(body, charge=0.0001)).charge == 0
    assert heated(Load(1, 30), 60, Hardware(battery=0)).charge == 1


def test_levels_have_hysteresis_and_wild_sensors_lie() -> None:
    reader = Reader(Sensors(), Random(0))
    read = [reader.read(0, Body.at(degrees, 0.5), False, False).thermal for degrees in (38, 39.1, 38, 37, 46, 48)]
    assert [int(known(level)) for level in read] == [0, 1, 1, 0, 2, 3]
    wild = Reader(Sensors(noise=0.02, missing=0.3, wild=0.1), Random(0))
    states = [wild.read(float(t), Body.at(39.5, 0.5), False, False) for t in range(400)]
    assert {None, ThermalLevel.NOMINAL, ThermalLevel.FAIR, ThermalLevel.SERIOUS} == {s.thermal for s in states}
    assert any(state.headroom is not None and math.isnan(state.headroom) for state in states)
    blind = Reader(Sensors(False, False, False), Random(0)).read(3.0, Body.at(50, 0.5), False, False)
    assert blind == DeviceState(3.0)


def test_a_run_can_be_repeated(tables: Tables) -> None:
    runs = [simulate(SCENARIOS["noisy-sensors"], "balanced", tables, 3, seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_governor_keeps_its_promises(tables: Tables, name: str) -> None:
    runs = {policy: simulate(SCENARIOS[name], policy, tables) for policy in ("balanced", *BASELINES)}
    verdicts = check_promises([score(SCENARIOS[name], policy, run) for policy, run in runs.items()])
    assert len(verdicts) == 4
    assert all(verdict.kept for verdict in verdicts), verdicts


@pytest.mark.parametrize(
    ("hours", "better"),
    [((6.0, 5.9), False), ((6.0, 5.95), True), ((6.0, 7.0), True), ((6.0, None), True), ((None, 5.0), True)],
)
def test_more_quality_counts_if_the_battery_lasts_as_long(
    hours: tuple[float | None, float | None], better: bool
) -> None:
    own, other = (
        Score("commute", name, 0.9, None, 0, 0, 0, 40, lasts, 0, 0) for name, lasts in zip("ab", hours, strict=True)
    )
    assert check_promises([own, replace(other, quality=0.91)], "a")[0].kept is not better


@pytest.mark.parametrize("name", ["hot-day", "charging", "noisy-sensors"])
@pytest.mark.parametrize(
    "change", [{"dynamic": 3.0}, {"dynamic": 5.0}, {"body_capacity": 80}, {"case_capacity": 40}]
)
def test_other_phones_stay_cool_and_calm_too(tables: Tables, name: str, change: dict[str, Any]) -> None:
    """The settings were not tuned to one device."""
    other = replace(SCENARIOS[name], hardware=replace(Hardware(), **change))
    found = score(other, "balanced", simulate(other, "balanced", tables, seed=5))
    assert found.hot_share <= 0.01
    assert found.steady_switches <= 2
    assert found.misses <= 0.01


def test_presets_and_policies_run(tables: Tables) -> None:
    scores = {
        name: score(SCENARIOS["low-battery"], name, simulate(SCENARIOS["low-battery"], name, tables, 20))
        for name in POLICIES
    }
    hours = [known(scores[name].battery_hours) for name in ("saver", "balanced", "fixed-64")]
    assert hours[0] > hours[1] > hours[2]
    assert scores["quality"].quality > scores["balanced"].quality > scores["saver"].quality
    with pytest.raises(VecaError, match="'best' is no policy"):
        simulate(SCENARIOS["hot-day"], "best", tables, 1)


def test_baselines_run_on_tables_in_which_every_point_is_streamed(points: list[OperatingPoint]) -> None:
    """As model files hold them: all patches are a budget there."""
    streamed = [replace(point, patch_budget=point.patch_budget or 256) for point in points]
    decision = build_policy("fixed-64", streamed, BALANCED).decide(DeviceState(0.0), None, FrameStatistics())
    assert decision.point.configuration == (64, 256, 256)


def test_resolution_alone_gives_up_nothing_but_pixels() -> None:
    tables = read_tables(TABLE)
    points = operating_points(tables.quality, tables.latency, tables.target_rate)
    smaller = [replace(p, image_size=128, quality=0.8 * p.quality, power=p.power / 4) for p in points]
    policy = build_policy("resolution-only", points + smaller, BALANCED)
    start = policy.decide(DeviceState(0.0), None, FrameStatistics())
    later = policy.decide(DeviceState(1.0, thermal=ThermalLevel.CRITICAL), start, FrameStatistics())
    assert (start.point.configuration, later.point.configuration) == ((64, 256, None), (64, 128, None))
    assert start.point.rate == later.point.rate


def test_what_a_task_keeps_follows_the_run_configuration() -> None:
    """Right answers are known of whole frames; a patch budget costs as much of them as of the fidelity."""
    tables = read_tables(TABLE)
    rows = [
        replace(row, accuracy=0.7, miou=0.4) if row.patch_budget is None else row for row in tables.quality.rows
    ]
    known_tables = replace(tables, quality=replace(tables.quality, rows=tuple(rows)))
    tasks, budgeted = known_tables.tasks, next(row for row in rows if row.patch_budget == 48 and row.cores == 8)
    whole = next(row for row in rows if row.configuration == (8, budgeted.image_size, None))
    assert tasks[whole.configuration] == (0.7, 0.4)
    assert known(tasks[budgeted.configuration][1]) == pytest.approx(0.4 * budgeted.fidelity / whole.fidelity)
    scenario = SCENARIOS["long-call"]
    fixed, own = (score(scenario, n, simulate(scenario, n, known_tables, 40)) for n in ("fixed-64", "balanced"))
    assert known(fixed.accuracy) == pytest.approx(0.7)
    assert known(own.miou) < 0.4
    assert known(own.good_hours) == pytest.approx(own.quality * known(own.battery_hours))
    without = score(scenario, "balanced", simulate(scenario, "balanced", tables, 1))
    assert (without.accuracy, without.miou) == (None, None)


def test_a_recording_is_replayed(points: list[OperatingPoint]) -> None:
    cool = [DeviceState(float(t), 0.9, False, False, ThermalLevel.NOMINAL) for t in range(100, 160, 2)]
    hot = [DeviceState(float(t), 0.9, False, False, ThermalLevel.CRITICAL) for t in range(160, 200, 2)]
    done = replay(cool + hot, build_policy("balanced", points, BALANCED))
    assert done.seconds == 98
    assert [change.time for change in done.changes] == [0, 60]
    assert done.changes[1].reason.startswith("critical heat: ")
    least = done.changes[1].point.quality
    assert done.quality == pytest.approx((60 * done.changes[0].point.quality + 38 * least) / 98)
    single = replay(cool[:1], build_policy("fixed-8", points, BALANCED))
    assert (single.seconds, len(single.changes), single.changes[0].point.cores) == (0, 1, 8)


def test_a_picture_is_drawn(tables: Tables, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    policies, scenarios = ("balanced", "thermal-level"), (SCENARIOS["commute"], SCENARIOS["hot-day"])
    runs = [(one, {policy: simulate(one, policy, tables, 2) for policy in policies}) for one in scenarios]
    draw_runs(tmp_path / "runs.png", runs)
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(VecaError, match="cannot write"):
        draw_runs(tmp_path / "none" / "runs.png", runs)
