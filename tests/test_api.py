"""What `veca_edge` exports refuses odd values in one line that says what is wanted, and takes the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import veca_edge
from tests.paths import CLIP
from veca_edge import ChangeSettings, Model, OverriddenSensors, PictureIndex, Session, ThermalLevel, VecaError
from veca_edge.arrays import Image
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.gallery.pictures import MadeWith
from veca_edge.governor.points import Front, OperatingPoint, operating_points
from veca_edge.governor.settings import Settings
from veca_edge.sensors.state import DeviceState

ODD: dict[str, Any] = {
    "None": None,
    "True": True,
    "text": "3",
    "empty": "",
    "bytes": b"3",
    "NaN": math.nan,
    "infinity": math.inf,
    "huge": 10**400,
    "too long to write": 10**5000,
    "negative": -3,
    "fraction": 0.123,
    "list": [1, 2],
    "mapping": {"a": 1},
    "object": object(),
    "array": np.zeros((20, 30)),
    "class": DeviceState,
}
# Of each call, the odd values that it takes.
NOTHING: tuple[str, ...] = ()
OPTIONAL = ("None",)
FLAG = ("None", "True")


class Still:
    """A device of which nothing is known."""

    def __init__(self, *state: Any) -> None:
        self.state = state[0] if state else DeviceState(0.0)

    def start(self) -> None: ...

    def stop(self) -> None: ...


def change(name: str) -> Callable[[Any, Any], object]:
    return lambda desk, value: ChangeSettings(**{name: value})


def session(name: str) -> Callable[[Any, Any], object]:
    return lambda desk, value: Session(desk.model, **{"front": desk.front, "sensors": Still(), name: value})


def sensed(name: str) -> Callable[[Any, Any], object]:
    return lambda desk, value: OverriddenSensors(Still(), **{name: value})


def opened(name: str) -> Callable[[Any, Any], object]:
    return lambda desk, value: veca_edge.open_source(CLIP, **{name: value}).close()


def streamed(name: str) -> Callable[[Any, Any], object]:
    return lambda desk, value: desk.model.stream(**{name: value})


def set_in_stream(name: str) -> Callable[[Any, Any], object]:
    return lambda desk, value: setattr(desk.model.stream(), name, value)


class Desk:
    """What the calls need: a model with operating points, one of these, a photo and its result."""

    def __init__(self, model: Model, photo: Image) -> None:
        tables = read_tables()
        self.model, self.photo, self.result = model, photo, model(photo, cores=8)
        self.front = Front.of(operating_points(tables.quality, tables.latency, 30.0))
        self.index = PictureIndex(
            Path(), ("a",), np.zeros((1, 2), np.int64), self.result.embedding[None], MadeWith.of(model)
        )
        self.point = replace(self.front.points[0], base=0.001)


CALLS: dict[str, tuple[Callable[[Any, Any], object], tuple[str, ...]]] = {
    "sensitivity": (change("sensitivity"), ("fraction",)),
    "patience": (change("patience"), NOTHING),
    "patch_budget": (change("patch_budget"), OPTIONAL),
    "refresh_frames": (change("refresh_frames"), NOTHING),
    "keyframe_share": (change("keyframe_share"), ("fraction",)),
    "drift": (change("drift"), ("fraction",)),
    "load": (lambda desk, value: veca_edge.load("" if value is None else value), NOTHING),
    "load threads": (lambda desk, value: veca_edge.load(threads=value), OPTIONAL),
    "load compute_units": (lambda desk, value: veca_edge.load(compute_units=value), NOTHING),
    "load say": (lambda desk, value: veca_edge.load(say=value), ("None", "class")),
    "model image": (lambda desk, value: desk.model(value), NOTHING),
    "model cores": (lambda desk, value: desk.model(desk.photo, cores=value), OPTIONAL),
    "model image_size": (lambda desk, value: desk.model(desk.photo, image_size=value), OPTIONAL),
    "stream cores": (streamed("cores"), OPTIONAL),
    "stream image_size": (streamed("image_size"), OPTIONAL),
    "stream change": (streamed("change"), OPTIONAL),
    "stream cache": (streamed("cache"), NOTHING),
    "stream.cores": (set_in_stream("cores"), OPTIONAL),
    "stream.change": (set_in_stream("change"), NOTHING),
    "stream.image_size": (set_in_stream("image_size"), OPTIONAL),
    "stream.update": (lambda desk, value: desk.model.stream().update(value), NOTHING),
    "stream.over": (lambda desk, value: list(desk.model.stream().over(value)), NOTHING),
    "top": (lambda desk, value: desk.result.top(value), NOTHING),
    "match first": (lambda desk, value: veca_edge.match_patches(value, desk.result), NOTHING),
    "match second": (lambda desk, value: veca_edge.match_patches(desk.result, value), NOTHING),
    "gallery label": (lambda desk, value: veca_edge.Gallery().add(value, desk.result), ("text",)),
    "gallery result": (lambda desk, value: veca_edge.Gallery().add("mug", value), NOTHING),
    "gallery box": (lambda desk, value: veca_edge.Gallery().add("mug", desk.result, value), OPTIONAL),
    "gallery remove": (lambda desk, value: veca_edge.Gallery().remove(value), NOTHING),
    "gallery k": (lambda desk, value: veca_edge.Gallery().predict(desk.result, k=value), NOTHING),
    "min_similarity": (
        lambda desk, value: veca_edge.match_patches(desk.result, desk.result, value),
        ("fraction",),
    ),
    "index file": (lambda desk, value: veca_edge.PictureIndex.load(value), NOTHING),
    "search query": (lambda desk, value: desk.index.search(value), NOTHING),
    "search top": (lambda desk, value: desk.index.search(desk.result, value), NOTHING),
    "search min_similarity": (lambda desk, value: desk.index.search(desk.result, 3, value), ("fraction",)),
    "duplicates": (lambda desk, value: desk.index.duplicates(value), ("fraction",)),
    "index of a model": (lambda desk, value: desk.index.check_model(value), NOTHING),
    "session model": (lambda desk, value: Session(value, front=desk.front, sensors=Still()), NOTHING),
    "governor": (session("governor"), NOTHING),
    "target_fps": (session("target_fps"), ("fraction",)),
    "front": (lambda desk, value: session("front")(desk, False if value is None else value), NOTHING),
    "sensors": (session("sensors"), OPTIONAL),
    "on_critical": (session("on_critical"), ("class",)),
    "clock": (session("clock"), ("class",)),
    "session.run": (lambda desk, value: list(session("clock")(desk, lambda: 0.0).run(value)), NOTHING),  # type: ignore[attr-defined]
    "session.update": (lambda desk, value: session("clock")(desk, lambda: 0.0).update(value), NOTHING),  # type: ignore[attr-defined]
    "a sensor's state": (
        lambda desk, value: session("sensors")(desk, Still(value)).update(desk.photo),  # type: ignore[attr-defined]
        NOTHING,
    ),
    "sensors to override": (lambda desk, value: OverriddenSensors(value), NOTHING),
    "battery": (sensed("battery"), ("None", "fraction")),
    "thermal": (sensed("thermal"), OPTIONAL),
    "low_power": (sensed("low_power"), FLAG),
    "source": (lambda desk, value: veca_edge.open_source(value), NOTHING),
    "live": (opened("live"), FLAG),
    "retry": (opened("retry"), ("fraction",)),
    "loop": (opened("loop"), ("True",)),
    "notify": (opened("notify"), ("None", "class")),
    "expected": (lambda desk, value: desk.point.expected(value), ("None", "fraction")),
    "a point's rate": (lambda desk, value: Front.of([replace(desk.point, rate=value)]), ("fraction",)),
    "a point": (lambda desk, value: Front.of([value]), NOTHING),
    "target_rate": (lambda desk, value: Settings().at(value), ("fraction",)),
}


@pytest.fixture(scope="module")
def desk(model: Model, photo: Image) -> Desk:
    return Desk(model, photo)


@pytest.mark.parametrize("name", CALLS)
def test_odd_values_are_refused_in_one_line(desk: Desk, name: str) -> None:
    call, taken = CALLS[name]
    wrong = {}
    for kind, value in ODD.items():
        try:
            call(desk, value)
            said = "taken"
        except VecaError as error:
            said = (
                "refused" if len(str(error)) < 250 and "\n" not in str(error) and ":" in str(error) else f"{error}"
            )
        except Exception as error:
            said = repr(error)
        if said != ("taken" if kind in taken else "refused"):
            wrong[kind] = said
    assert not wrong


def test_everything_that_takes_a_value_is_in_the_table() -> None:
    """So that a new name is thought of here: these only carry what veca-edge gives, or take nothing."""
    plain = {"Decision", "DeviceState", "Frame", "Matches", "OperatingPoint", "Prediction", "Source", "__version__"}
    plain |= {"SimilarPicture"}
    plain |= {"DenseResult", "DenseTask", "StreamError", "VecaError", "VecaWarning", "device_sensors"}
    plain |= {"Example", "Match"}
    tried = {"ChangeSettings", "Model", "OverriddenSensors", "Result", "Session", "Stream", "ThermalLevel"}
    tried |= {"Gallery", "PictureIndex", "load", "match_patches", "open_source"}
    assert set(veca_edge.__all__) == plain | tried


@pytest.mark.parametrize("value", [9, -1, None, "hot", math.nan])
def test_a_thermal_level_is_one_of_four(value: Any) -> None:
    with pytest.raises(VecaError, match=r"thermal level .*: use 0 \(nominal\), .* 3 \(critical\)$"):
        ThermalLevel(value)


def test_whole_numbers_of_numpy_are_whole_numbers(desk: Desk) -> None:
    stream = desk.model.stream(np.int64(8), np.int32(128), ChangeSettings(patience=np.int8(2)))  # type: ignore[arg-type]
    assert (stream.cores, stream.image_size) == (8, 128)
    assert len(desk.result.top(np.int64(2))) == 2  # type: ignore[arg-type]
    assert isinstance(desk.point, OperatingPoint)


def test_a_closed_model_shows_in_what_hangs_on_it(default_model_file: Any, desk: Desk) -> None:
    model = veca_edge.load(default_model_file)
    stream, held = model.stream(8), Session(model, front=desk.front, sensors=Still())
    assert "closed" not in f"{stream!r} {held!r}"
    model.close()
    assert model.closed
    assert [repr(item).endswith(", closed>") for item in (model, stream, held)] == [True] * 3
    with pytest.raises(VecaError, match="closed: load"):
        held.update(desk.photo)
