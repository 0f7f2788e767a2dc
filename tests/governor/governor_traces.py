"""Golden traces of the governor: written once, replayed here and by the Swift and Kotlin governors.

    python -m tests.governor.governor_traces    # writes tests/golden/governor afresh; look at the diff

`points.json` holds points, and the front they make; `fronts.json` small sets of points that each show one rule of
the front, with the first ladder as places among them. Every other file is a trace: a line with the settings, then
one line per decision: the state and the frames going in, the decision coming out. What is absent from a state or
from frames is unknown, or as in `FrameStatistics()`; a NaN is the string "nan".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from tests.governor.conftest import TABLE
from tests.paths import GOLDEN
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.governor.decision import Decision
from veca_edge.governor.points import Front, OperatingPoint, operating_points
from veca_edge.governor.policy import decide
from veca_edge.governor.settings import BALANCED, PRESETS, Settings
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState, ThermalLevel

COMPACT = (",", ":")
FOLDER = GOLDEN / "governor"
Input = tuple[DeviceState, FrameStatistics]
NO_FRAMES = FrameStatistics()


def one(cores: int, size: int, patches: int | None, rate: float, quality: float, power: float) -> OperatingPoint:
    """A point that keeps its rate on every device."""
    return OperatingPoint(cores, size, patches, rate, quality, 0.001, 0.001, power)


BEST = one(64, 256, None, 30, 1.0, 1.0)
# What each shows, points, and the least to the best of them, as places.
FRONTS = {
    "cores before patches": ([one(8, 256, None, 30, 0.98, 0.6), one(64, 256, 48, 30, 0.985, 0.7), BEST], [0, 2]),
    "patches before rate": ([one(64, 256, 48, 30, 0.98, 0.6), one(64, 256, None, 15, 0.985, 0.7), BEST], [0, 2]),
    "rate before size": ([one(64, 256, None, 15, 0.98, 0.6), one(64, 128, None, 30, 0.985, 0.7), BEST], [0, 2]),
    "cores before size": ([one(8, 256, None, 30, 0.98, 0.6), one(64, 128, None, 30, 0.985, 0.7), BEST], [0, 2]),
    "what is clearly better stays": (
        [one(8, 256, None, 30, 0.97, 0.6), one(64, 256, 48, 30, 0.985, 0.7), BEST],
        [0, 1, 2],
    ),
    "of equals the one that gives up patches for nothing is skipped": (
        [one(8, 256, 48, 30, 0.971, 0.253), one(8, 256, 96, 30, 0.9711, 0.256), one(8, 128, 48, 5, 0.4, 0.1), BEST],
        [2, 1, 3],
    ),
    "steps that save under 3 % are skipped, whatever they give up; the least stays": (
        [
            one(8, 128, None, 5, 0.4, 0.49),
            one(8, 128, None, 15, 0.5, 0.5),
            one(8, 256, 48, 30, 0.6, 0.88),
            one(8, 256, None, 30, 0.7, 0.9),
            one(32, 256, None, 30, 0.8, 0.98),
            BEST,
        ],
        [0, 1, 3, 5],
    ),
}


def golden_points() -> list[OperatingPoint]:
    """Few enough to read."""
    tables = read_tables(TABLE)
    return [
        point
        for point in operating_points(tables.quality, tables.latency, 30)
        if point.cores in (8, 24, 64) and point.image_size in (192, 256) and point.patch_budget in (None, 96, 16)
    ]


def frames(slowdown: float, point_slow: float = 0.02, misses: int = 0) -> FrameStatistics:
    return FrameStatistics(30, point_slow * slowdown / 2, point_slow * slowdown, misses, slowdown)


def heat() -> Iterator[Input]:
    """Headroom climbs, stays, falls; the forecast leads it; a wild reading and a gap."""
    for second in range(0, 900, 3):
        rise = 0.55 + 0.0011 * min(second, 450) - 0.0008 * max(0, second - 600)
        headroom = math.nan if second % 60 == 0 else 1.4 if second == 303 else round(rise, 4)
        forecast = None if second < 200 else round(rise + 0.01, 4)
        level = ThermalLevel.FAIR if rise > 0.8 else ThermalLevel.NOMINAL
        yield DeviceState(float(second), 0.9, False, False, level, headroom, forecast), frames(1.0)


def levels() -> Iterator[Input]:
    """Only levels, up to critical and back, with one glitch."""
    plan = ((60, 0), (61, 2), (120, 0), (300, 1), (420, 2), (430, 3), (520, 2), (700, 1), (1100, 0))
    for second in range(0, 1100, 5):
        level = next(level for until, level in plan if second < until)
        yield DeviceState(float(second), 0.7, False, False, ThermalLevel(level)), NO_FRAMES


def battery() -> Iterator[Input]:
    """From a third to nothing, low-power mode on the way, then a charger."""
    for second in range(0, 1200, 6):
        charge = round(max(0.02, 0.34 - 0.0004 * second), 4)
        charging, low_power = second >= 1000, 100 <= second < 400
        state = DeviceState(float(second), charge, charging, low_power, ThermalLevel.NOMINAL, 0.5)
        yield state, frames(1.0)


def throttling() -> Iterator[Input]:
    """Frames grow slow while the state reads nominal, and recover; some seconds have no frames."""
    for second in range(0, 600, 2):
        slowdown = 1.0 if second < 60 else 1.7 if second < 240 else 1.3 if second < 300 else 1.0
        seen = NO_FRAMES if second % 14 == 0 else frames(slowdown, misses=3 if slowdown > 1.5 else 0)
        yield DeviceState(float(second), 0.8, False, False, ThermalLevel.NOMINAL), seen


def nonsense() -> Iterator[Input]:
    """Nothing known, impossible values, clocks that stand still or run back, long pauses."""
    nan = math.nan
    times = (0.0, 1.0, 1.0, 0.5, nan, 3.0, 4000.0, 4001.0, nan, nan, 4002.0)
    for index, time in enumerate(times * 3):
        bad = (nan, -1.0, 1e9, None)[index % 4]
        level = (None, ThermalLevel.FAIR, ThermalLevel.NOMINAL)[index % 3]
        hot = (("skin", bad if bad is not None else 41.5), ("cpu", 96.0))
        state = DeviceState(time, bad, None, None, level, bad, bad, hot if index % 2 else (), bad, bad)
        yield state, FrameStatistics(index, 0.01 * index, nan if index % 5 == 0 else 0.02 * index, 0, bad)


TRACES = {
    "heat": (BALANCED, heat),
    "levels": (BALANCED, levels),
    "battery": (PRESETS["saver"], battery),
    "throttling": (PRESETS["quality"], throttling),
    "nonsense": (BALANCED, nonsense),
}


def plain(value: Any) -> Any:
    """As it stands in a trace."""
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return round(value, 9) if isinstance(value, float) else value


def told(value: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {f.name: plain(v) for f in fields(value) if (v := getattr(value, f.name)) != f.default}


def parsed(value: Any) -> Any:
    """Back from a trace."""
    if value == "nan":
        return math.nan
    return [parsed(item) for item in value] if isinstance(value, list) else value


def read_input(line: dict[str, Any]) -> Input:
    state = {name: parsed(value) for name, value in line["state"].items()}
    if "thermal" in state:
        state["thermal"] = ThermalLevel(state["thermal"])
    state["temperatures"] = tuple(tuple(pair) for pair in state.get("temperatures", ()))
    return DeviceState(**state), FrameStatistics(**{name: parsed(value) for name, value in line["frames"].items()})


def expectation(decision: Decision) -> dict[str, Any]:
    values = {"reason": decision.reason, "stop_camera": decision.stop_camera, "memory": asdict(decision.memory)}
    return dict(plain(values))


def decisions(inputs: Iterator[Input], front: Front, settings: Settings) -> Iterator[tuple[Input, Decision]]:
    last = None
    for state, seen in inputs:
        last = decide(state, last, seen, front, settings)
        yield (state, seen), last


def _write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    points = golden_points()
    front = Front.of(points)
    facts: dict[str, list[Any]] = {
        "points": [asdict(p) for p in points],
        "front": [points.index(p) for p in front.points],
    }
    facts["ladders"] = [list(ladder.indices) for ladder in front.ladders]
    text = ",\n".join(f"{json.dumps(name)}: {_lines(value)}" for name, value in facts.items())
    (FOLDER / "points.json").write_text("{\n" + text + "\n}\n")
    fronts = [
        {"what": what, "points": [asdict(p) for p in given], "ladder": places}
        for what, (given, places) in FRONTS.items()
    ]
    (FOLDER / "fronts.json").write_text('{"fronts": ' + _lines(fronts) + "}\n")
    for name, (settings, inputs) in TRACES.items():
        lines = [{"settings": asdict(settings)}]
        for (state, seen), decision in decisions(inputs(), front, settings):
            given = {"state": told(state), "frames": told(seen)}
            lines.append({**given, "decision": expectation(decision)})
        (FOLDER / f"{name}.jsonl").write_text(
            "".join(f"{json.dumps(line, ensure_ascii=False, separators=COMPACT)}\n" for line in lines)
        )


def _lines(rows: list[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


if __name__ == "__main__":
    _write()
