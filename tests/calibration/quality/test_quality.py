"""The quality table that conversion writes into the packaged model's file."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import veca_edge
from tests.dense_sets import LABELS, write_masks
from tests.known import known
from tests.paths import GOLDEN
from veca_edge.calibration.quality.answers import share_error
from veca_edge.calibration.quality.evaluate import EvaluateRequest, evaluate
from veca_edge.calibration.quality.measure import (
    CORES,
    DECIMALS,
    PATCH_BUDGETS,
    chains,
    configurations_of,
    measure_quality,
    quality_in_child,
)
from veca_edge.errors import VecaError
from veca_edge.governor.quality import QualityRow, QualityTable, RunConfiguration
from veca_edge.image.clip import clip_frames
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint, write_checkpoint
from veca_edge.modelfile.heads import DenseHead, DenseTask, class_colours
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import read_model_file
from veca_edge.photos.evaluation import read_photos
from veca_edge.runtime.timing import START

Rows = dict[RunConfiguration, QualityRow]


@pytest.fixture(scope="module")
def manifest(default_model_file: Path) -> Manifest:
    return read_model_file(default_model_file).manifest


@pytest.fixture(scope="module")
def table(manifest: Manifest) -> QualityTable:
    return known(QualityTable.of_file(manifest.quality, manifest.budgets))


@pytest.fixture(scope="module")
def rows(table: QualityTable) -> Rows:
    return {row.configuration: row for row in table.rows}


def test_every_run_configuration_is_evaluated(manifest: Manifest, rows: Rows) -> None:
    assert list(rows) == configurations_of(manifest)
    # 64 patches at 128 px leave no room for a budget of 96.
    assert len(rows) == len(CORES) * (3 * (1 + len(PATCH_BUDGETS)) - 1)
    assert manifest.quality["about"] == "48 frames of a clip and 16 photos, against the checkpoint in fp32"


def test_less_is_worth_less(rows: Rows) -> None:
    best, few_patches = (rows[RunConfiguration(64, 256, budget)] for budget in (256, 16))
    assert best.fidelity > 0.95
    assert best.feature_cosine > 0.995
    for size in (128, 192, 256):
        least, most = (rows[RunConfiguration(cores, size, (size // 16) ** 2)] for cores in (8, 64))
        assert least.feature_cosine < most.feature_cosine
    small, middle = (rows[RunConfiguration(64, size, (size // 16) ** 2)] for size in (128, 192))
    assert small.fidelity < middle.fidelity < best.fidelity
    assert few_patches.feature_cosine < best.feature_cosine


def test_more_is_never_worse_where_theory_says_so(manifest: Manifest, rows: Rows) -> None:
    configurations, smoothed = list(rows), manifest.quality["smoothed"]
    contradictions = 0
    for chain in itertools.chain(*chains(configurations)):
        for low, high in itertools.pairwise(rows[configurations[index]] for index in chain):
            for name in low.measures:
                contradictions += getattr(low, name) > getattr(high, name) + 2 * 10**-DECIMALS
    assert bool(contradictions) <= bool(smoothed["beyond_error"])
    assert smoothed["values"] == 4 * len(rows)
    assert smoothed["changed"] == sum(len(row.raw) for row in rows.values())
    for row in rows.values():
        assert row.measures.keys() == {"embedding_cosine", "feature_cosine", "label_overlap", "dense_agreement"}
        assert 0 < known(row.label_overlap_error) < 0.1
        for name, value in row.raw.items():
            assert value != getattr(row, name)


def test_the_spread_and_the_sample_are_told(manifest: Manifest, rows: Rows) -> None:
    for row in rows.values():
        assert row.embedding_p5 is not None
        assert row.embedding_p5 <= row.embedding_cosine + 0.01
        assert row.accuracy is row.miou is row.top1_agreement is None
    sample = manifest.quality["sample"]
    assert [sample[name] for name in ("compared_frames", "photos", "labelled", "masked")] == [24, 16, 0, 0]
    assert sample["digest"] == read_photos(None, 16).digest
    assert {"processor", "torch", "executorch", "veca-edge"} <= set(manifest.quality["made_with"])


def test_the_table_stays_small(manifest: Manifest) -> None:
    assert len(json.dumps(manifest.quality, indent=1)) < 20_000


def test_the_order_that_theory_knows() -> None:
    given = [(64, 256, 256), (8, 256, 256), (64, 256, 16), (64, 128, 64), (64, 128, 16)]
    families = chains([RunConfiguration(*one) for one in given])
    by_cores, by_budget, by_size = ([chain for chain in family if len(chain) > 1] for family in families)
    assert by_cores == [[1, 0]]
    assert by_budget == [[2, 0], [4, 3]]
    assert by_size == [[3, 0]]  # not 4 and 2: 16 patches are less of a larger image


def test_a_share_is_never_certain() -> None:
    assert share_error(0.5, 100) == pytest.approx(0.05, rel=0.01)
    assert 0.03 < share_error(1.0, 16) < 0.1
    assert share_error(1.0, 4) > share_error(1.0, 400)


def test_labelled_photos_give_accuracy(default_model_file: Path, tmp_path: Path) -> None:
    photos = sorted(Path(str(resources.files("veca_edge.assets") / "photos")).glob("*.jpg"))[:8]
    for index, path in enumerate(photos):
        for part in ("train", "val"):
            folder = tmp_path / part / ("apple", "no such thing")[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)
    model, reference = (veca_edge.load(path, threads=1) for path in (default_model_file, default_checkpoint_path()))
    configurations = [RunConfiguration(*one) for one in ((64, 128, 64), (8, 128, 64), (8, 128, 16))]
    found = measure_quality(model, reference, configurations, clip_frames(START, 14), read_photos(tmp_path, 16))
    right = [reference(read_image(path), image_size=128).top(1)[0].label == "apple" for path in photos[::2]]
    assert found.answered == {"accuracy": 4}
    assert found.reference["accuracy"] == pytest.approx(sum(right) / 4, abs=1e-5)
    for row in found.table.rows:
        assert row.accuracy is not None
        assert math.isclose(row.accuracy * 4, round(row.accuracy * 4), abs_tol=1e-3)
        assert row.accuracy_error is not None
    assert found.table.rows[0].embedding_cosine > found.table.rows[1].embedding_cosine


def test_masks_give_miou_and_heads_agree_with_themselves(tmp_path: Path) -> None:
    """On a checkpoint, which is its own reference, with two heads: of the masks' classes, and of depth."""
    random, checkpoint = np.random.default_rng(0), read_checkpoint(GOLDEN / "published-96.pt")
    tasks = (
        DenseTask("things", "segmentation", 2, LABELS, class_colours(LABELS)),
        DenseTask("depth", "regression", 1, unit="m", range=(0.0, 10.0)),
    )
    shapes = [(task.outputs, checkpoint.config.feature_dim) for task in tasks]
    heads = tuple(
        DenseHead(task, random.normal(size=shape).astype(np.float32), np.zeros(shape[0], np.float32))
        for task, shape in zip(tasks, shapes, strict=True)
    )
    write_checkpoint(replace(checkpoint, dense=heads), tmp_path / "dense.pt", half=False)
    write_masks(tmp_path, train=1, val=5)
    model, photos = veca_edge.load(tmp_path / "dense.pt", threads=1), read_photos(tmp_path, 4)
    configurations = [RunConfiguration(64, 96, None), RunConfiguration(8, 96, None), RunConfiguration(8, 64, None)]
    found = measure_quality(model, model, configurations, clip_frames(START, 14), photos)
    best, fewer, smaller = found.table.rows
    assert best.dense_agreement == best.fidelity == 1
    assert 1 > known(fewer.dense_agreement) > known(smaller.dense_agreement) > 0.2
    assert 0 < known(fewer.dense_agreement_error) < 0.2
    assert found.values == 9
    assert found.answered == {"miou": 4}

    photos = read_photos(tmp_path, 9)
    found = measure_quality(model, model, configurations[:2], clip_frames(START, 3), photos)
    request = EvaluateRequest(tmp_path / "dense.pt", tmp_path, "things", (64, 8), (96,))
    wanted = {point.point.cores: point.to_dict()["miou"] for point in evaluate(request).points}
    assert {row.cores: row.miou for row in found.table.rows} == pytest.approx(wanted, abs=2e-5)
    assert found.reference["miou"] == pytest.approx(wanted[64], abs=2e-5)
    assert all(0 < known(row.miou_error) < 0.2 for row in found.table.rows)


def test_a_folder_that_is_not_there_is_one_line(default_model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no such folder of photos"):
        quality_in_child(default_model_file, default_checkpoint_path(), images=tmp_path / "none")


def test_a_result_is_worth_less_when_the_scene_has_moved_on(table: QualityTable) -> None:
    assert table.freshness.worth[0] == 1
    assert table.freshness.at(30) > table.freshness.at(5)


def test_a_table_is_written_as_it_was_read(manifest: Manifest, table: QualityTable) -> None:
    assert table.to_dict() == manifest.quality


def test_files_without_a_table_are_still_read(manifest: Manifest) -> None:
    values = json.loads(manifest.to_json())
    del values["quality"]
    assert Manifest.from_json(json.dumps(values)).quality == {}


def test_a_child_that_fails_says_why(default_model_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(default_model_file.read_bytes()[:1000])
    with pytest.raises(VecaError, match=r"damaged\.pte"):
        quality_in_child(damaged, default_checkpoint_path())
