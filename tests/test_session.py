"""A session on the packaged model and clip, with sensors and a clock that the test moves."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import veca_edge
from tests.known import known
from tests.paths import CLIP
from veca_edge import Model, Session, VecaError
from veca_edge.arrays import Image
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.camera.sources import open_source
from veca_edge.governor.decision import Decision
from veca_edge.governor.points import Front, OperatingPoint, operating_points
from veca_edge.image.clip import clip_frames
from veca_edge.model.checkpoint import default_checkpoint_path
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.runtime.profile import front_of
from veca_edge.runtime.timing import FEWEST, START, WARM_UP
from veca_edge.sensors.state import DeviceState, ThermalLevel
from veca_edge.session import OverriddenSensors


class Device:
    """Sensors and a clock, both set by the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.state = DeviceState(0.0)
        self.running = False

    def clock(self) -> float:
        self.now += 1 / 30
        return self.now

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    return clip_frames(START, FEWEST + WARM_UP)


@pytest.fixture(scope="module")
def front() -> Front:
    """The packaged model's points as measured on a quiet machine: decisions must not hang on this one's load."""
    tables = read_tables()
    return Front.of(operating_points(tables.quality, tables.latency, 30.0))


def _session(model: Model, front: Front, device: Device, **more: object) -> Session:
    return Session(model, front=front, sensors=device, clock=device.clock, **more)  # type: ignore[arg-type]


def test_the_front_is_of_this_device(model: Model) -> None:
    measured = front_of(model, 30.0)
    best = max(measured.points, key=lambda point: point.quality)
    # Where 32 and 64 cores keep as much, only the cheaper point is on the front.
    assert best.image_size == 256
    assert best.cores in (32, 64)
    said: list[str] = []
    assert front_of(model, 30.0, say=said.append) == measured
    assert not any("measuring" in line for line in said)
    assert {point.image_size for point in front_of(model, 30.0, 192).points} == {192}


def test_results_carry_point_and_reason(model: Model, front: Front, frames: list[Image]) -> None:
    device = Device()
    results = list(_session(model, front, device).run(frames))
    assert len(results) == len(frames)
    for result in results:
        assert result.point is not None
        assert result.point.cores == result.cores
        assert result.image_size == (result.point.image_size, result.point.image_size)
        assert str(result.point) in result.reason
        assert result.state is not None
    assert not device.running


def test_a_source_can_be_given_as_it_is(model: Model, front: Front) -> None:
    session = _session(model, front, Device())
    clip = resources.files("veca_edge.assets") / "clip.mp4"
    with resources.as_file(clip) as path, open_source(str(path)) as source:
        results = list(itertools.islice(session.run(source), 3))
    assert [result.point is not None for result in results] == [True] * 3


@pytest.mark.parametrize("name", [str(CLIP), CLIP])
def test_a_path_is_opened_and_closed(model: Model, front: Front, name: str | Path) -> None:
    session = _session(model, front, Device())
    results = list(itertools.islice(session.run(name), 3))
    assert [result.labels for result in results] == [model.labels] * 3
    assert repr(session).startswith(f"<Session of {model.name}, C ")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (3.5, "cannot take frames from a float: give a path"),
        (None, "cannot take frames from a NoneType"),
        ("nowhere.mp4", "nowhere.mp4: no such file or folder"),
        (np.zeros((8, 8, 3), np.uint8), r"session\.update\(image\)"),
        ([5], "expected an image as a numpy array, got int"),
    ],
)
def test_what_is_no_source_is_refused(model: Model, front: Front, frames: Any, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        list(_session(model, front, Device()).run(frames))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "veca.pte"}, r"a session needs a model, got a str: veca_edge\.load"),
        ({"governor": 3}, "governor 3: use one of balanced, quality, saver"),
        ({"target_fps": None}, "target_fps None: use a number"),
        ({"target_fps": float("nan")}, "target_fps nan: use a number"),
    ],
)
def test_what_a_session_cannot_be_made_of(model: Model, front: Front, given: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        Session(**{"model": model, "front": front, **given})


def test_a_checkpoint_cannot_be_governed() -> None:
    with pytest.raises(VecaError, match="convert the checkpoint"):
        Session(veca_edge.load(default_checkpoint_path()))


def test_heat_and_an_empty_battery_cost_quality_at_once(model: Model, front: Front, frames: list[Image]) -> None:
    device = Device()
    session = _session(model, front, device)
    cool = session.update(frames[0])
    device.state = replace(device.state, thermal=ThermalLevel.SERIOUS, battery=0.05, charging=False)
    hot = [session.update(frame) for frame in frames[1:4]][-1]
    assert cool.point is not None
    assert hot.point is not None
    assert hot.point.power < cool.point.power
    assert hot.point.quality < cool.point.quality
    assert session.statistics.switches == 1


def test_critical_heat_calls_the_app_and_thins_the_frames(
    model: Model, front: Front, frames: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    width = model(frames[0]).features.shape[-1]
    depth = DenseHead(DenseTask("depth", "regression"), np.ones((1, width), np.float32), np.zeros(1, np.float32))
    monkeypatch.setattr(model, "tasks", (depth.task,))
    monkeypatch.setattr(model, "dense_heads", (depth,))
    device, called = Device(), []

    def on_critical(decision: Decision) -> None:
        called.append(decision)

    device.state = replace(device.state, thermal=ThermalLevel.CRITICAL)
    session = _session(model, front, device, on_critical=on_critical)
    results = list(session.run(frames))
    assert len(called) == 1
    assert called[0].point == front.points[0] == results[-1].point
    told = session.statistics
    assert told.frames == len(frames)
    assert told.computed == pytest.approx(len(frames) * front.points[0].rate / 30, abs=1)
    left_out = [result for result in results if result.latency == 0]
    assert len(left_out) == told.frames - told.computed
    assert all(result.computed is not None and not result.computed.any() for result in left_out)
    cells = [known(result.dense["depth"].computed).sum() for result in results]
    assert [count == 0 for count in cells] == [result.latency == 0 for result in results]


def test_a_patch_budget_is_for_each_square_of_the_frame(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a wide frame, twice as many patches are computed as of a square; the governor hears of all of them."""
    monkeypatch.setattr(model, "preprocessing", replace(model.preprocessing, fit="keep"))
    session = _session(model, Front.of([OperatingPoint(8, 128, 16, 30, 1.0, 0.1, 0.1, 1.0)]), Device())
    told: list[int | None] = []
    monkeypatch.setattr(session._governor, "frame", lambda latency, computed: told.append(computed))
    wide = np.zeros((128, 256, 3), np.uint8)
    moved = wide.copy()
    moved[:, :128] = 100
    assert [known(session.update(frame).computed).sum() for frame in (wide, moved)] == [128, 32]
    assert told == [128, 32]


def test_energy_is_counted_where_it_is_measured(model: Model, front: Front, frames: list[Image]) -> None:
    device = Device()
    session = _session(model, front, device)
    list(session.run(frames))
    assert session.statistics.joules is None
    device.state = replace(device.state, power=3.0)
    device.now += 2  # time for a decision
    list(session.run(frames))
    assert session.statistics.joules == pytest.approx(3 * (2 + len(frames) / 30), rel=0.2)
    assert sum(session.statistics.seconds_at.values()) == pytest.approx(session.statistics.seconds)


def test_it_stops_from_another_thread(model: Model, front: Front, frames: list[Image]) -> None:
    session, device = None, Device()
    session = _session(model, front, device)
    seen = 0
    for _ in session.run(frames):
        seen += 1
        if seen == 3:
            thread = threading.Thread(target=session.stop)
            thread.start()
            thread.join()
    assert seen == 3
    assert not device.running


def test_a_stop_before_the_first_frame_counts_and_the_next_run_is_a_new_one(
    model: Model, front: Front, frames: list[Image]
) -> None:
    session = _session(model, front, Device())
    results = session.run(frames)
    session.stop()
    assert list(results) == []
    assert len(list(session.run(frames[:2]))) == 2


def test_a_bad_frame_is_refused_and_the_session_goes_on(model: Model, front: Front, frames: list[Image]) -> None:
    session = _session(model, front, Device())
    session.update(frames[0])
    with pytest.raises(VecaError):
        session.update(np.zeros((0, 0, 3), np.uint8))
    assert session.update(frames[1]).features.shape[-1] == 192


def test_without_a_quality_table_it_says_what_to_do(golden_model_file: Path) -> None:
    model = veca_edge.load(golden_model_file)
    model.quality = None
    with pytest.raises(VecaError, match="convert the checkpoint again"):
        Session(model)
    with pytest.raises(VecaError, match="unknown preset 'best'"):
        Session(model, "best")


def test_overridden_sensors_replace_what_is_said() -> None:
    device = Device()
    device.state = DeviceState(1.0, battery=0.9, charging=True)
    overridden = OverriddenSensors(device, battery=0.1)
    assert overridden.state == DeviceState(1.0, battery=0.1, charging=True)
