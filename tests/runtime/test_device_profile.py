"""Profiles: remembered, invalidated, damaged; quality tables that are damaged or hostile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import veca_edge
from tests.known import known
from veca_edge import VecaError
from veca_edge.governor.quality import LatencyRow, LatencyTable, QualityTable
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime import profile as module
from veca_edge.runtime import timing
from veca_edge.runtime.model import assembled
from veca_edge.runtime.profile import Profile, front_of, profile_device, this_device
from veca_edge.sensors.platforms import energy_meter


@pytest.fixture
def model(default_model_file: Path) -> Iterator[veca_edge.Model]:
    """The packaged model with two of its run configurations, so that measuring takes a moment."""
    loaded = veca_edge.load(default_model_file, threads=1)
    table = known(loaded.quality)
    some = [row for row in table.rows if (row.image_size, row.patch_budget) == (128, 16)]
    loaded.quality = replace(table, rows=tuple(some[:2]))
    yield loaded
    loaded.close()


@pytest.fixture
def remembered(model: veca_edge.Model) -> Path:
    profile_device(model)
    path = module._path(model)
    assert path is not None
    return path


def test_it_is_measured_once(model: veca_edge.Model, remembered: Path) -> None:
    first, said = profile_device(model), list[str]()
    again = profile_device(model, say=said.append)
    assert (again.remembered, said) == (True, [])
    assert again == first
    new, told = profile_device(model, again=True, say=said.append), list[float]()
    assert (new.remembered, len(said)) == (False, 1)
    profile_device(model, again=True, advance=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]
    for row in new.table.rows:
        assert 0 < row.p50 <= row.p95 < 1


@pytest.mark.parametrize("name", ["processor", "cores", "threads", "runtime"])
def test_another_device_or_version_is_measured_anew(model: veca_edge.Model, remembered: Path, name: str) -> None:
    values = json.loads(remembered.read_text())
    values["device"][name] = 99
    remembered.write_text(json.dumps(values))
    assert not profile_device(model).remembered
    assert profile_device(model).remembered


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        "\xff",
        '{"format": 1}',
        '{"format": 99, "rows": []}',
        '{"format": 1, "device": {}, "rows": ["x"], "timed": 1, "seconds": 1, "others": 0}',
        '{"format": 1, "device": [], "rows": 3}',
        " " * (module.LARGEST + 1),
    ],
)
def test_a_damaged_profile_is_measured_anew(model: veca_edge.Model, remembered: Path, text: str) -> None:
    remembered.write_bytes(text.encode("latin-1"))
    assert not profile_device(model).remembered
    assert profile_device(model).remembered


@pytest.mark.parametrize("field", ["timed", "seconds", "others"])
@pytest.mark.parametrize("value", ['"x"', "NaN", "-1", "1e999", "true"])
def test_impossible_numbers_are_measured_again(
    model: veca_edge.Model, remembered: Path, field: str, value: str
) -> None:
    values = json.loads(remembered.read_text()) | {field: "HERE"}
    remembered.write_text(json.dumps(values).replace('"HERE"', value))
    assert not profile_device(model).remembered


def test_a_file_of_fewer_configurations_is_not_enough(model: veca_edge.Model, remembered: Path) -> None:
    values = json.loads(remembered.read_text())
    values["rows"] = values["rows"][:1]
    remembered.write_text(json.dumps(values))
    assert not profile_device(model).remembered


def test_energy_is_counted_remembered_and_makes_watts(
    model: veca_edge.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    meter, counted = energy_meter(str(tmp_path)), iter(range(0, 10**12, 64 * 10**4))

    def growing() -> float | None:
        (zone / "energy_uj").write_text(f"{next(counted)}\n")
        return meter()

    monkeypatch.setattr(module, "energy_meter", lambda: growing)
    measured = profile_device(model, again=True)
    recalled = profile_device(model)
    assert recalled.remembered
    assert recalled.table == measured.table
    rows = {row.configuration: row for row in measured.table.rows}
    for point in recalled.points(known(model.quality), 30):
        joules = known(rows[point.configuration].joules)
        assert 0.64 / timing.MOST <= joules <= 0.64 / timing.FEWEST
        assert point.power == pytest.approx(joules * point.rate)
    some = LatencyTable((replace(measured.table.rows[0], joules=None), *measured.table.rows[1:]))
    for point in replace(measured, table=some).points(known(model.quality), 30):
        assert point.power == pytest.approx(rows[point.configuration].mean * point.rate)


def test_without_a_place_to_remember_it_still_works(
    model: veca_edge.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "file"))
    said: list[str] = []
    assert len(profile_device(model, say=said.append).table.rows) == 2
    assert "VECA_EDGE_CACHE" in said[-1]
    monkeypatch.delenv("VECA_EDGE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert len(profile_device(model, say=said.append).table.rows) == 2
    assert "VECA_EDGE_CACHE" in said[-1]
    model.digest = ""
    assert not profile_device(model).remembered


def test_one_image_size_uses_the_profile_of_all(model: veca_edge.Model, remembered: Path) -> None:
    said: list[str] = []
    assert {point.image_size for point in front_of(model, 30, 128, said.append).points} == {128}
    with pytest.raises(VecaError, match="192 px was not evaluated at conversion: use one of 128"):
        front_of(model, 30, 192, said.append)
    assert not [line for line in said if "measuring" in line]


def test_a_busy_machine_is_said() -> None:
    row = LatencyRow(8, 128, 16, 0.01, 0.01, 0.01, 8, 0.01)
    quiet = Profile(LatencyTable((row,)), this_device(1), 1, 5.0, others=0.1)
    assert quiet.complaint is None
    assert replace(quiet, others=None).complaint is None
    busy = replace(quiet, others=1.3).complaint
    assert busy is not None
    assert "other programs used 1.3 processors" in busy


ROW = {"cores": 8, "image_size": 128, "patch_budget": 16, "embedding_cosine": 1, "feature_cosine": 1}


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        ({"rows": "many"}, "needs a list of rows"),
        ({"rows": ["x"]}, "rows must be names with numbers"),
        ({"rows": [ROW], "freshness": 3}, "freshness as a mapping"),
        ({"rows": [ROW] * 1001}, "more than 1000 rows"),
        ({"rows": [{**ROW, "cores": 7}]}, "7 cores, the model offers 8, 64"),
        ({"rows": [{**ROW, "raw": [1]}]}, "raw in the quality table"),
        ({"rows": [{**ROW, "accuracy": 2}]}, "accuracy 2 in a table"),
    ],
)
def test_damaged_tables_are_refused(quality: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        QualityTable.of_file(quality, (8, 64))


def test_a_damaged_table_is_refused_with_its_model(default_model_file: Path) -> None:
    file = read_model_file(default_model_file)
    engine: Any = None
    assert assembled(replace(file.manifest, quality={}), engine).quality is None
    with pytest.raises(VecaError, match=r"^everyday: .*convert the checkpoint again"):
        assembled(replace(file.manifest, quality={"rows": [ROW | {"cores": 9}]}), engine)


@pytest.mark.parametrize("change", [{"image_size": 10**6}, {"image_size": 130}, {"patch_budget": 1}])
def test_configurations_that_cannot_be_run_are_one_line(model: veca_edge.Model, change: dict[str, int]) -> None:
    model.quality = QualityTable.from_rows([{**ROW, **change}])
    model.digest = ""
    with pytest.raises(VecaError):
        front_of(model, 30)
