"""A dense head from photos with masks or values, alone and along with the model."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from tests.dense_sets import LABELS, write_masks, write_values
from tests.photos.labelled_photos import tiny_checkpoint, write_photos
from veca_edge.cli.main import main
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import read_checkpoint, write_checkpoint
from veca_edge.modelfile.heads import FOLDERS, DenseTask, Kind
from veca_edge.photos.masks import read_masked_folder
from veca_edge.runtime.dense import DenseResult
from veca_edge.runtime.model import of_checkpoint
from veca_edge.training.heads.dense import fit_dense
from veca_edge.training.heads.dense_metrics import RegressionScores, SegmentationScores, new_tally
from veca_edge.training.heads.evaluation import Point, evaluate_dense


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_masks(tmp_path_factory.mktemp("masks"))


def test_masks_are_learned_for_every_budget(masks: Path) -> None:
    fitted = fit_dense(tiny_checkpoint(), read_masked_folder(masks, "segmentation"), "things", cells=2)
    assert [point.point.cores for point in fitted.points] == [8, 16, 24]
    assert (fitted.train, fitted.val, fitted.task.labels) == (12, 4, LABELS)
    for point in fitted.points:
        assert isinstance(point.scores, SegmentationScores)
        assert point.scores.miou > 0.55
        assert point.scores.foreground > 0.55
    again = fit_dense(fitted.checkpoint, read_masked_folder(masks, "segmentation"), "things", cells=1)
    assert [head.task.cells for head in again.checkpoint.dense] == [1]  # a head of the same name is replaced


def test_values_are_learned_in_their_unit(tmp_path: Path) -> None:
    photos = read_masked_folder(write_values(tmp_path), "regression")
    fitted = fit_dense(tiny_checkpoint(), photos, "depth", cells=2, budgets=(8,))
    (point,) = fitted.points
    assert isinstance(point.scores, RegressionScores)
    assert point.scores.rmse < 0.9  # metres; always saying the mean is 1.2 m off
    assert fitted.task.unit == "m"
    assert fitted.task.range == pytest.approx((1, 4), abs=0.1)


def test_commands_lead_from_photos_to_a_mask(masks: Path, tmp_path: Path) -> None:
    write_checkpoint(tiny_checkpoint(), tmp_path / "tiny.pt")
    fit = ["fit-head", str(tmp_path / "tiny.pt"), "--data", str(masks), "--name", "things", "--cores", "8"]
    found = CliRunner().invoke(main, [*fit, "--output", str(tmp_path / "things.pt")])
    assert found.exit_code == 0, found.output
    assert "red thing" in found.output
    assert "head things: segmentation, 2 x 2 cells a patch" in found.output
    command = ["evaluate", str(tmp_path / "things.pt"), "--data", str(masks / "val"), "--cores", "8", "--json"]
    found = CliRunner().invoke(main, command)
    (point,) = json.loads(found.stdout)["points"]
    assert point["cores"] == 8
    assert set(point["iou"]) == set(LABELS)
    model = read_checkpoint(tmp_path / "things.pt")
    assert [head.task.name for head in model.dense] == ["things"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--task", "classification", "--cells", "2"), "--cells is for --task segmentation"),
        (("--name", "Logits!"), "cannot name a head"),
        (("--name", "logits"), "another output"),
        (("--plot", "x.png"), "--plot is for --task classification"),
        (("--task", "regression"), "has no folder values"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    masks: Path, tmp_path: Path, given: tuple[str, ...], message: str
) -> None:
    command = ["fit-head", "--data", str(masks), "--output", str(tmp_path / "x.pt"), *given]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 2
    assert message in found.output


def test_a_dense_head_learns_along_with_the_model(masks: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    settings = ("epochs=12", "batch_size=15", "masks.size=64", "masks.photo_size=96", "model.num_layers=2",
                "phases=[{sizes=[64], cores=[8]}]", "validation.cores=[8]", "masks.name=\"things\"",
                "optimizer.lr=3e-3", "optimizer.ema=0.9")  # fmt: skip
    options = [part for setting in settings for part in ("--set", setting)]
    command = ["train", "--data", str(photos), "--masks", str(masks), "--output", str(tmp_path / "m.pt"), "--json"]
    command += ["--plot", str(tmp_path / "m.png")]
    found = CliRunner().invoke(main, [*command, *options], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    outcome = json.loads(found.stdout)
    assert outcome["validation"]["things 64"]["8"]["accuracy"] > 0.6
    lines = [json.loads(line) for line in (tmp_path / "m.log.jsonl").read_text().splitlines()]
    losses = [line["masks"] for line in lines if "masks" in line]
    assert losses
    assert np.isfinite(losses).all()
    assert outcome["masks_per_second"] > 0
    (head,) = read_checkpoint(tmp_path / "m.pt").dense
    assert head.task.labels == LABELS
    assert np.abs(head.weight).max() > 0
    refused = CliRunner().invoke(main, [*command, *options, "--set", "masks.paste=0.5"])
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1].startswith(
        "veca-edge: masks.paste puts things on other photos: it needs"
    )


@pytest.mark.parametrize("kind", ["segmentation", "regression"])
def test_targets_that_say_nothing_are_one_line(kind: Kind, tmp_path: Path) -> None:
    photos = read_masked_folder((write_masks if kind == "segmentation" else write_values)(tmp_path), kind)
    fitted = fit_dense(tiny_checkpoint(), photos, "seen", cells=1, budgets=(8,)).checkpoint
    for path in tmp_path.glob(f"*/{FOLDERS[kind]}/*"):
        path.unlink()
        unknown = np.full((96, 120), 255 if kind == "segmentation" else 0, np.uint8)
        cv2.imwrite(str(path.with_suffix(".png")), unknown)
    photos = read_masked_folder(tmp_path, kind)
    with pytest.raises(VecaError, match="none of the 12 photos has a target that says anything"):
        fit_dense(tiny_checkpoint(), photos, "seen")
    with pytest.raises(VecaError, match="nothing to evaluate head seen on"):
        evaluate_dense(of_checkpoint(fitted, "tiny"), "seen", photos, [Point(8, 64)])


def test_values_below_0_count_too() -> None:
    task = DenseTask("heat", "regression", 1, unit="K", range=(-9.0, 9.0))
    errors = new_tally(task)
    values = np.array([[-3.0, 2.0]], np.float32)
    errors.add(DenseResult(task, values[..., None], (0, 0, 2, 1)), np.array([[-5.0, 2.0]], np.float32))
    scores = errors.scores()
    assert isinstance(scores, RegressionScores)
    assert scores.rmse == pytest.approx(2**0.5)
    assert (scores.relative, scores.delta1) == (0.0, 1.0)


def test_values_that_half_precision_cannot_hold_are_one_line(tmp_path: Path) -> None:
    (write_values(tmp_path) / "scale.txt").write_text("1e6 um\n")
    with pytest.raises(VecaError, match="in a unit in which they are thousands at most"):
        fit_dense(tiny_checkpoint(), read_masked_folder(tmp_path, "regression"), "depth", cells=1, budgets=(8,))
