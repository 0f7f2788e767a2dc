"""The quality table that conversion writes into the packaged model's file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from calibration.quality import CORES, PATCH_BUDGETS, quality_in_child, ways_of
from veca_edge.errors import VecaError
from veca_edge.governor import QualityTable
from veca_edge.governor.quality import QualityRow, Way
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint
from veca_edge.runtime.manifest import Manifest
from veca_edge.runtime.modelfile import read_model_file


@pytest.fixture(scope="module")
def manifest(default_model_file: Path) -> Manifest:
    return read_model_file(default_model_file).manifest


@pytest.fixture(scope="module")
def rows(manifest: Manifest) -> dict[Way, QualityRow]:
    table = QualityTable.from_rows(manifest.quality["rows"], manifest.quality["freshness"])
    return {row.way: row for row in table.rows}


def test_every_way_of_running_is_judged(manifest: Manifest, rows: dict[Way, QualityRow]) -> None:
    assert list(rows) == ways_of(manifest)
    # 64 patches at 128 px leave no room for a budget of 96.
    assert len(rows) == len(CORES) * (3 * (1 + len(PATCH_BUDGETS)) - 1)
    assert manifest.quality["about"] == "48 frames of a clip and 16 photos, against the checkpoint in fp32"


def test_less_is_worth_less(rows: dict[Way, QualityRow]) -> None:
    assert rows[64, 256, 256].fidelity > 0.95
    assert rows[64, 256, 256].feature_cosine > 0.995
    for size in (128, 192, 256):
        assert rows[8, size, (size // 16) ** 2].fidelity < rows[64, size, (size // 16) ** 2].fidelity
    assert rows[64, 128, 64].fidelity < rows[64, 192, 144].fidelity < rows[64, 256, 256].fidelity
    assert rows[64, 256, 16].feature_cosine < rows[64, 256, 256].feature_cosine


def test_a_result_is_worth_less_when_the_scene_has_moved_on(manifest: Manifest) -> None:
    freshness = QualityTable.from_rows(manifest.quality["rows"], manifest.quality["freshness"]).freshness
    assert freshness.worth[0] == 1
    assert freshness.at(30) > freshness.at(5)


def test_files_without_a_table_are_still_read(manifest: Manifest) -> None:
    values = json.loads(manifest.to_json())
    del values["quality"]
    assert Manifest.from_json(json.dumps(values)).quality == {}


def test_a_child_that_fails_says_why(default_model_file: Path, tmp_path: Path) -> None:
    file = read_model_file(default_model_file)
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(default_model_file.read_bytes()[:1000])
    with pytest.raises(VecaError, match=r"damaged\.pte"):
        quality_in_child(replace(file, path=damaged), read_checkpoint(default_checkpoint_path()))
