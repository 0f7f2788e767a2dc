"""Few-shot figures: what episodes count, on vectors of which the answer is known, and from photos on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from tests.dense_sets import write_masks
from tests.known import known
from tests.photos.labelled_photos import tiny_checkpoint, write_folders
from veca_edge.calibration.quality import few_shot
from veca_edge.calibration.quality.few_shot import FewShotRequest, evaluate_few_shot
from veca_edge.calibration.quality.recognition import recognise, totals
from veca_edge.cli.main import main
from veca_edge.errors import VecaError
from veca_edge.gallery.gallery import Gallery
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import write_checkpoint
from veca_edge.runtime.model import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("few-shot")
    write_checkpoint(tiny_checkpoint(), place / "tiny.pt", half=False)
    write_folders(place / "photos", {"banana": 7, "hat": 7, "milk": 3})
    return place


def rows(scatter: float) -> tuple[few_shot.FewShotRow, ...]:
    """Of 12 labels with 12 photos each, in as many directions, at 8 cores more scattered than at 64."""
    random, labels = np.random.default_rng(0), np.repeat(np.arange(12), 12)
    noise = random.normal(size=(2, 144, 48)) / 48**0.5
    scales = {"8": 1.0, "64": scatter}
    by = {name: np.eye(12, 48)[labels] + scales[name] * part for name, part in zip(scales, noise, strict=True)}
    unit = {name: array / np.linalg.norm(array, axis=1, keepdims=True) for name, array in by.items()}
    return few_shot._rows(few_shot._Vectors(labels, unit, "64"), ["8", "64"], 20, lambda _: None)


def test_clear_things_are_recognised_and_others_get_no_name() -> None:
    found = rows(0.3)
    assert [(row.way, row.shot) for row in found] == [(5, 1), (5, 5), (5, 10), (12, 1), (12, 5), (12, 10)]
    for row in found:
        assert row.right["64"].mean == row.right_named == 1
        assert 0.9 < row.right["8"].mean <= 1
        assert row.named > 0.8
        assert (row.strangers_named is None) == (row.way == 12)
        assert (row.strangers_named or 0) < 0.1


def test_without_anything_to_see_it_is_chance() -> None:
    scores = [row.right["64"].mean * row.way for row in rows(1000.0)]
    assert 0.5 < min(scores) <= max(scores) < 1.7


def test_photos_in_folders(folder: Path) -> None:
    found = evaluate_few_shot(FewShotRequest(folder / "tiny.pt", folder / "photos", episodes=5))
    assert [(row.way, row.shot) for row in found.rows] == [(2, 5), (3, 1)]
    assert found.photos.startswith("17 photos in ")
    assert set(found.rows[0].right) == {"8", "16"}
    assert found == evaluate_few_shot(FewShotRequest(folder / "tiny.pt", folder / "photos", episodes=5))


def test_classes_of_masks_are_recognised_by_boxes(folder: Path) -> None:
    (folder / "people").mkdir()
    write_masks(folder / "people", train=2, val=6)
    found = evaluate_few_shot(FewShotRequest(folder / "tiny.pt", folder / "people", budgets=(8,), episodes=5))
    assert " boxes in " in found.photos
    assert found.rows[0].right["8"].mean > 0


def test_the_command_prints_a_table_and_json(folder: Path) -> None:
    line = ["evaluate", str(folder / "tiny.pt"), "--data", str(folder / "photos"), "--few-shot", "--cores", "8"]
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 0, done.output
    assert "3 labels, 1 example" in done.stdout
    assert "strangers named" in done.stdout
    values = json.loads(CliRunner().invoke(main, [*line, "--json"]).stdout)
    assert (values["kind"], values["learned"], values["rows"][0]["way"]) == ("few-shot", 24, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--few-shot", "--head", "people"), "--few-shot takes no --head"),
        (("--few-shot", "--image-size", "64,128"), "one --image-size"),
        (("--teacher", "x.pt2"), "--teacher is for --few-shot"),
        (("--few-shot", "--cores", "7"), "7 cores"),
    ],
)
def test_bad_usage_is_one_line(folder: Path, options: tuple[str, ...], said: str) -> None:
    line = ["evaluate", str(folder / "tiny.pt"), "--data", str(folder / "photos"), *options]
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 2
    assert said in done.stderr


def test_too_few_photos(folder: Path) -> None:
    write_folders(folder / "single", {"banana": 1, "hat": 1})
    with pytest.raises(VecaError, match="two labels or more with two photos"):
        evaluate_few_shot(FewShotRequest(folder / "tiny.pt", folder / "single"))


def test_a_gallery_is_evaluated_on_a_folder(folder: Path) -> None:
    with load(folder / "tiny.pt") as model:
        gallery = Gallery.of(model)
        for label in ("banana", "hat"):
            for index in range(3):
                gallery = gallery.add(label, model(read_image(folder / "photos" / label / f"{index:02}.png")))
        rows = recognise(gallery, model, folder / "photos", None, None)
        assert [(row.label, row.known, row.photos) for row in rows] == [
            *(("banana", True, 7), ("hat", True, 7), ("milk", False, 3))
        ]
        sums = totals(rows)
        assert (sums["photos"], sums["stranger_photos"]) == (14, 3)
        assert known(sums["right"]) == sum(row.right for row in rows) / 14
        assert all(row.right_named <= min(row.named, row.right) for row in rows if row.known)
        with pytest.raises(VecaError, match="no example of a whole picture"):
            recognise(Gallery.of(model), model, folder / "photos", None, None)
