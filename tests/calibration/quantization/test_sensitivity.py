"""What single layers lose, and recipes chosen from it and measured as a whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.calibration.benchmark.small_models import photo_set, small_checkpoint
from veca_edge.calibration.quantization.calibrator import Calibrator, file_size
from veca_edge.calibration.quantization.emulation import Emulation, as_layer
from veca_edge.calibration.quantization.findings import Goal, Report
from veca_edge.calibration.quantization.losses import Evaluator, Scores, loss_of
from veca_edge.calibration.quantization.sensitivity import measure_sensitivity
from veca_edge.converters.executorch.convert import ConvertOptions
from veca_edge.converters.graph.folding import fold, linear_layers
from veca_edge.converters.graph.weights import nearest
from veca_edge.errors import VecaError
from veca_edge.photos.calibration import Calibration, PhotoSet
from veca_edge.runtime.machine import read_machine


def _calibration() -> Calibration:
    whole = photo_set(12)
    return Calibration(PhotoSet(whole.pixels[:6], None, "a"), PhotoSet(whole.pixels[6:], None, "b"), "samples")


@pytest.fixture(scope="module")
def calibrator() -> Calibrator:
    return Calibrator(small_checkpoint(output_dim=32), _calibration(), (8, 24))


@pytest.fixture(scope="module")
def report(calibrator: Calibrator) -> Report:
    return calibrator.report(read_machine())


def test_a_row_is_what_the_whole_model_loses_by_that_layer() -> None:
    """The shared beginning is a shortcut and nothing else."""
    checkpoint = small_checkpoint(output_dim=32)
    weights = linear_layers(fold(checkpoint))
    exact = Emulation.of(checkpoint.config, fold(checkpoint))
    changed = {name: as_layer(nearest(weight, "int8"), "int8") for name, weight in weights.items()}
    rows = measure_sensitivity(exact, {name: {"int8": layer} for name, layer in changed.items()}, photo_set(), (8,))
    evaluate = Evaluator(exact, photo_set(), (8,))
    assert [row.layer for row in rows] == list(weights)
    for row in rows:
        (expected,) = evaluate(exact.changed({row.layer: changed[row.layer]}))
        assert row.loss.fidelity == pytest.approx(expected.fidelity, rel=1e-3)
        assert row.loss.fidelity > 0


def test_fewer_bits_lose_more(report: Report) -> None:
    for layer in dict.fromkeys(row.layer for row in report.rows):
        rows = [row for row in report.rows if row.layer == layer and row.loss.cores == 24]
        lost = {row.precision: row.loss.fidelity for row in rows}
        assert lost["fp16"] < lost["int8"] < lost["int4"]


def test_the_ready_recipes_are_measured_as_wholes(report: Report) -> None:
    int8, int4 = report.wholes
    assert (int8.recipe.name, int4.recipe.name) == ("int8", "int4")
    assert int8.fidelity < int4.fidelity
    assert int8.weight_bytes > int4.weight_bytes
    assert report.accuracy is None


def test_a_drop_is_kept_by_fewer_bytes_than_int8(calibrator: Calibrator, report: Report) -> None:
    int8, int4 = report.wholes
    limit = (int8.fidelity + int4.fidelity) / 2
    chosen = calibrator.report(read_machine(), Goal(max_drop=limit)).chosen
    assert chosen is not None
    assert chosen.drop <= limit
    assert chosen.weight_bytes < int8.weight_bytes
    assert {chosen.recipe.default, *chosen.recipe.layers.values()} >= {"int8", "int4"}


def test_a_size_is_kept_by_the_file(calibrator: Calibrator, report: Report) -> None:
    int8 = report.wholes[0]
    checkpoint = small_checkpoint(output_dim=32)

    def size_of(recipe: object, round: object) -> int:
        return file_size(checkpoint, ConvertOptions(recipe, round, budgets=(8,)))  # type: ignore[arg-type]

    limit = size_of(int8.recipe, calibrator.round) + 32_768 - 6_000
    found = calibrator.report(read_machine(), Goal(max_size=limit), size_of)
    assert found.chosen is not None
    assert found.file_bytes == size_of(found.chosen.recipe, calibrator.round)
    assert found.file_bytes + 32_768 <= limit
    assert found.chosen.fidelity < report.wholes[1].fidelity


def test_what_cannot_be_kept_is_said(calibrator: Calibrator) -> None:
    with pytest.raises(VecaError, match=r"no recipe makes a file of 0\.01 MB: the smallest has"):
        calibrator.report(read_machine(), Goal(max_size=10_000), lambda recipe, round: 500_000)


def test_accuracy_is_counted_in_pairs() -> None:
    zeros = np.zeros(4)
    scores = [Scores(zeros, zeros, np.array([0, 1, 2, 3]), np.array([0, 1, 1, 1]))]
    loss = loss_of(scores, 8, np.array([0, 1, 2, 1]))  # one photo won, one lost
    assert (loss.changed, loss.accuracy) == (0.5, 0.0)
    assert loss.error == pytest.approx(np.sqrt(2 + 1) / 4)
    assert loss.drop == 0


def test_a_limit_holds_for_cosines_and_accuracy() -> None:
    labels = np.array([0, 1])
    loss = loss_of([Scores(np.full(2, 0.1), np.full(2, 0.3), labels, labels)], 8, labels)
    assert (loss.accuracy, loss.drop) == pytest.approx((0.0, 0.2))
    worse = loss_of([Scores(np.zeros(2), np.zeros(2), np.array([0, 0]), labels)], 8, labels)
    assert worse.drop == worse.accuracy == 0.5


def test_the_report_is_plain_values(report: Report) -> None:
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["photos"]["evaluate"] == {"photos": 6, "labelled": False, "digest": "b"}
    assert facts["machine"]["processor"]
    assert len(facts["sensitivity"]["rows"]) == 16 * 3 * 2
