"""Quality and latency as tables: what is read, what is refused, what it adds up to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from veca_edge.calibration.simulation.evaluate import Tables
from veca_edge.calibration.simulation.tables import read_tables, tables_from
from veca_edge.errors import VecaError
from veca_edge.governor.points import operating_points, smoothness
from veca_edge.governor.quality import Freshness, LatencyTable, QualityTable, fidelity
from veca_edge.governor.settings import Settings, preset

QUALITY = {"cores": 8, "image_size": 128, "patch_budget": None, "embedding_cosine": 0.9, "feature_cosine": 0.8}
LATENCY = {
    "cores": 8,
    "image_size": 128,
    "patch_budget": None,
    "p50": 0.01,
    "p95": 0.02,
    "mean": 0.011,
    "computed": 64,
}


def test_a_table_as_a_manifest_holds_it() -> None:
    table = QualityTable.from_rows([{**QUALITY, "top1_agreement": 0.7, "note": "ignored"}])
    assert table.rows[0].configuration == (8, 128, None)
    assert table.rows[0].fidelity == pytest.approx((0.9 * 0.8 * 0.7) ** (1 / 3))
    assert QualityTable.from_rows([QUALITY]).rows[0].fidelity == pytest.approx((0.9 * 0.8) ** 0.5)


def test_spreads_and_raw_values_travel_and_old_tables_have_none() -> None:
    more = {"label_overlap": 0.7, "embedding_p5": 0.85, "miou": 0.1, "raw": {"feature_cosine": 0.79}}
    table = QualityTable.from_rows([{**QUALITY, **more}])
    assert table.to_dict()["rows"] == [{**QUALITY, **more}]
    assert QualityTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table
    assert table.rows[0].fidelity == QualityTable.from_rows([{**QUALITY, "label_overlap": 0.7}]).rows[0].fidelity
    old = QualityTable.from_rows([QUALITY]).rows[0]
    assert (old.embedding_p5, old.accuracy, dict(old.raw)) == (None, None, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cores": None}, "cores None"),
        ({"cores": 0}, "cores 0"),
        ({"image_size": "big"}, "image_size 'big'"),
        ({"embedding_cosine": math.nan}, "embedding_cosine nan"),
        ({"feature_cosine": 1.5}, "feature_cosine 1.5"),
        ({"top1_agreement": True}, "top1_agreement True"),
        ({"patch_budget": 0}, "patch_budget 0"),
        ({"label_overlap": -0.1}, "label_overlap -0.1"),
        ({"dense_agreement": 1.1}, "dense_agreement 1.1"),
        ({"miou_error": []}, r"miou_error \[\]"),
        ({"embedding_p5": "low"}, "embedding_p5 'low'"),
        ({"accuracy": 1.5}, "accuracy 1.5"),
        ({"raw": {"feature_cosine": 7}}, "feature_cosine 7"),
        ({"raw": [0.5]}, "raw in the quality table"),
    ],
)
def test_rows_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        QualityTable.from_rows([{**QUALITY, **change}])


def test_empty_and_foreign_tables_are_refused() -> None:
    for read in (QualityTable.from_rows, LatencyTable.from_rows):
        with pytest.raises(VecaError, match="is empty"):
            read([])
        with pytest.raises(VecaError, match="rows must be names"):
            read(["row"])  # type: ignore[list-item]
        with pytest.raises(VecaError, match="more than 1000 rows"):
            read([QUALITY | LATENCY] * 1001)
    for nonsense in ({}, {"rows": "many"}, {"rows": [QUALITY], "freshness": []}):
        with pytest.raises(VecaError, match="needs a list of rows"):
            QualityTable.from_dict(nonsense)
    with pytest.raises(VecaError, match="ascending ages"):
        QualityTable.from_rows([QUALITY], {"ages": [0, 0], "worth": [1, 1]})
    with pytest.raises(VecaError, match="lacks worth"):
        QualityTable.from_rows([QUALITY], {"ages": [0]})
    other = LatencyTable.from_rows([{**LATENCY, "cores": 64}])
    with pytest.raises(VecaError, match="no operating point in common"):
        operating_points(QualityTable.from_rows([QUALITY]), other, 30)


def test_points_of_one_way_differ_in_rate() -> None:
    tables = QualityTable.from_rows([QUALITY]), LatencyTable.from_rows([LATENCY])
    points = operating_points(*tables, 30)
    assert [point.rate for point in points] == [30, 15, 10, 5]
    assert points[0].quality == pytest.approx(fidelity([0.9, 0.8]))
    assert points[1].quality == pytest.approx(points[0].quality * smoothness(0.5))
    assert [point.power for point in points] == pytest.approx([0.33, 0.165, 0.11, 0.055])
    assert str(points[1]) == "C 8, 128 px, all patches, 15 fps"


def test_freshness_is_the_mean_worth_until_the_next_result() -> None:
    fresh = Freshness((0.0, 0.1, 0.2), (1.0, 0.8, 0.7))
    assert fresh.at(10) == pytest.approx(0.9)
    assert fresh.at(5) == pytest.approx((0.9 + 0.75) / 2)
    assert fresh.at(2.5) == pytest.approx((0.9 + 0.75 + 2 * 0.7) / 4)
    assert Freshness().at(1) == 1


def test_frames_are_expected_to_take_what_their_patches_cost(points: list[Any]) -> None:
    stream = next(point for point in points if point.patch_budget is not None)
    assert stream.expected() == stream.latency
    assert stream.expected(40) - stream.expected(20) == pytest.approx(20 * stream.patch_time)


def test_energy_is_a_number_above_zero_or_unknown() -> None:
    (row,) = LatencyTable.from_rows([LATENCY | {"joules": 0.02}]).scaled(2.0).rows
    assert row.joules == pytest.approx(0.04)
    for nothing in (LATENCY, LATENCY | {"joules": None}):
        table = LatencyTable.from_rows([nothing]).scaled(2.0)
        assert (table.rows[0].joules, table.energies) == (None, None)
    for joules in (0, -1, math.nan, "1", True):
        with pytest.raises(VecaError, match="joules"):
            LatencyTable.from_rows([LATENCY | {"joules": joules}])


def test_the_table_is_whole(tables: Tables) -> None:
    found = set(tables.quality.configurations)
    assert found == tables.latency.configurations
    assert {(64, 256, None), (8, 128, 16)} <= found
    assert max(row.fidelity for row in tables.quality.rows) == 1


def test_other_tables_can_be_read_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"quality": [QUALITY], "latency": [LATENCY]}))
    assert len(read_tables(path).quality.rows) == 1
    for text, message in (
        ("[]", "JSON object"),
        ("{", "expected JSON"),
        ('{"quality": 3}', "quality must be a list"),
        ('{"quality": [], "latency": []}', "the quality table is empty"),
    ):
        path.write_text(text)
        with pytest.raises(VecaError, match=f"table.json.*{message}"):
            read_tables(path)
    with pytest.raises(VecaError, match="cannot read"):
        read_tables(tmp_path / "none.json")
    with pytest.raises(VecaError, match="freshness as a mapping"):
        tables_from({"quality": [QUALITY], "latency": [LATENCY], "freshness": 3})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rise": 0}, "rise 0"),
        ({"dwell": math.nan}, "dwell nan"),
        ({"battery_low": 0.4}, "battery_low must be below"),
        ({"most_power": 1.5}, "most_power 1.5"),
        ({"nominal_heat": 0.95}, "nominal_heat must be below"),
        ({"climb_share": 0.99}, "climb_share must be"),
        ({"serious_ceiling": 0.9}, "serious_ceiling must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        Settings(**change)


def test_presets_have_names() -> None:
    assert preset("balanced") == Settings()
    with pytest.raises(VecaError, match="unknown preset 'fast': use one of balanced, quality, saver"):
        preset("fast")
