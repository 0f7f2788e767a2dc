"""A model, a stream of it and a session, run by one protocol."""

from __future__ import annotations

from veca_edge.arrays import Image
from veca_edge.governor.points import Front, OperatingPoint
from veca_edge.playback.protocols import Runner
from veca_edge.playback.runners import ModelRunner, SessionRunner, StreamRunner
from veca_edge.runtime.model import Model
from veca_edge.sensors.state import DeviceState
from veca_edge.session import Session

POINT = OperatingPoint(8, 64, 16, 30.0, 0.9, 0.01, 0.02, 1.0)


class NoSensors:
    """A server's."""

    state = DeviceState(0.0)

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


def test_a_model_computes_every_frame_as_a_whole(model: Model, photo: Image) -> None:
    runner: Runner = ModelRunner(model)
    for cores, expected in ((8, 8), (None, 64)):
        result = runner(photo, cores=cores)
        assert (result.cores, result.keyframe, result.computed) == (expected, True, None)
    assert runner.statistics is None


def test_a_stream_computes_what_changed(model: Model, photo: Image) -> None:
    runner: Runner = StreamRunner(model)
    assert [runner(photo, cores=64).keyframe for _ in range(2)] == [True, False]
    assert runner(photo, cores=8).keyframe
    assert not runner(photo, cores=8).keyframe
    larger = runner(photo, cores=8, image_size=192)
    assert larger.keyframe
    assert larger.features.shape[:2] == (12, 12)
    assert runner.statistics is None


def test_a_session_runs_at_its_point_or_at_a_budget_that_is_named(model: Model, photo: Image) -> None:
    runner: Runner = SessionRunner(Session(model, front=Front.of([POINT]), sensors=NoSensors()))
    assert runner(photo, cores=None).point == POINT
    fixed = runner(photo, cores=16, image_size=128)
    assert (fixed.cores, fixed.point) == (16, None)
    assert runner.statistics is not None
    assert runner.statistics.frames == 1
