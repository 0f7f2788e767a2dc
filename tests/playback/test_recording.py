"""A recorded device that plays along with a film."""

from __future__ import annotations

from typing import Any

import pytest

from tests.paths import ASSETS
from veca_edge.camera.sources import open_source
from veca_edge.playback.recording import Recording
from veca_edge.sensors.state import DeviceState, ThermalLevel
from veca_edge.sensors.trace import read_trace

PLUGGED = DeviceState(112.0, battery=0.4, charging=True, thermal=ThermalLevel.FAIR)
STATES = (DeviceState(100.0, battery=0.5), DeviceState(106.0, battery=0.45), PLUGGED)


def charges(recording: Recording, times: list[float]) -> list[float | None]:
    """The battery at these times of a film."""
    found = []
    for time in times:
        recording.move(time)
        found.append(recording.state.battery)
    return found


@pytest.mark.parametrize(
    ("speed", "times", "expected"),
    [
        (1.0, [0.0, 5.9, 6.0, 11.9, 12.0, 99.0], [0.5, 0.5, 0.45, 0.45, 0.4, 0.4]),
        (60.0, [0.0, 0.1, 0.2], [0.5, 0.45, 0.4]),
        (1.0, [7000.0, 7005.9, 7006.0], [0.5, 0.5, 0.45]),  # a camera's clock starts anywhere
        (1.0, [0.0, 6.0, 0.0, 5.9, 6.0], [0.5, 0.45, 0.45, 0.45, 0.4]),  # a film that starts over
    ],
)
def test_it_goes_along_with_the_film(speed: float, times: list[float], expected: list[float]) -> None:
    assert charges(Recording(STATES, speed), times) == expected


def test_its_clock_counts_its_own_seconds_and_never_goes_back() -> None:
    recording, seen = Recording(STATES, 10.0), []
    for time in (3.0, 3.5, 0.0, 0.5):
        recording.move(time)
        seen.append(recording.clock())
    assert seen == [0.0, 5.0, 5.0, 10.0]


def test_a_graph_holds_the_lines_and_a_step_for_each_change_of_cores() -> None:
    recording = Recording(STATES)
    for time, cores in ((0.0, 64), (1.0, 64), (6.0, 16), (12.0, 64)):
        recording.move(time)
        recording.choose(cores)
    graph = recording.graph(64)
    assert graph.battery == ((0.0, 0.5), (6.0, 0.45), (12.0, 0.4))
    assert graph.heat == ((12.0, 1 / 3),)
    assert graph.cores == ((0.0, 1.0), (6.0, 0.25), (12.0, 1.0))
    assert (graph.length, graph.now) == (12.0, 12.0)
    assert graph.words == ("charging 40 %", "heat fair", "64 cores")


@pytest.mark.parametrize(
    ("state", "share", "words"),
    [
        ({"temperatures": (("skin", 39.0),), "thermal": ThermalLevel.FAIR}, 0.5, "39 °C"),
        ({"headroom": 0.8, "thermal": ThermalLevel.CRITICAL}, 0.5, "heat critical"),
        ({"headroom": 3.0}, 1.0, "heat 3.00"),
        ({"temperatures": (("cpu", 80.0),), "thermal": ThermalLevel.NOMINAL}, 0.0, "80 °C"),
        ({}, None, ""),
    ],
)
def test_heat_is_what_the_governor_reads(state: dict[str, Any], share: float | None, words: str) -> None:
    graph = Recording([DeviceState(0.0, **state)]).graph(64)
    assert [value for _, value in graph.heat] == ([] if share is None else [pytest.approx(share)])
    assert graph.words == ("", words, "")


def test_the_packaged_recording_goes_along_with_the_packaged_film() -> None:
    states = read_trace(ASSETS / "demo.jsonl")
    with open_source(str(ASSETS / "demo.mp4")) as film:
        assert film.fps is not None
        assert film.frames_total is not None
        assert 60 * film.frames_total / film.fps == states[-1].time - states[0].time  # as `make demo` plays it
    assert min(state.battery or 0 for state in states) < 0.3  # below that the governor saves
    assert states[-1].charging
