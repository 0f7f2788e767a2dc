"""Calibration images from the kinds of folders that users have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.calibration.benchmark.small_models import small_checkpoint
from veca_edge.errors import VecaError
from veca_edge.photos.calibration import read_calibration
from veca_edge.photos.samples import sample_images
from veca_edge.playback.writers import save_png


def _write(folder: Path, first: int, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        save_png(folder / f"{index:02}.png", sample_images()[index])


def test_packaged_samples_are_halved() -> None:
    found = read_calibration(small_checkpoint(), None)
    assert (len(found.learn), len(found.judge)) == (8, 8)
    assert found.learn.pixels.shape == (8, 64, 64, 3)
    assert found.learn.targets is None
    both = [image.tobytes() for image in (*found.learn.pixels, *found.judge.pixels)]
    assert len(set(both)) == 16


def test_train_teaches_and_val_judges(tmp_path: Path) -> None:
    for first, (split, label) in enumerate([("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")]):
        _write(tmp_path / split / label, 3 * first, 3)
    checkpoint = replace(small_checkpoint(), labels=("b", "c", "a"))
    found = read_calibration(checkpoint, tmp_path, 4)
    assert (len(found.learn), len(found.judge)) == (4, 4)
    assert found.judge.targets is not None
    assert set(found.judge.targets) == {0, 2}  # as the model counts: "b" and "a"
    again = read_calibration(checkpoint, tmp_path, 4)
    assert again.to_dict() == found.to_dict()
    np.testing.assert_array_equal(again.learn.pixels, found.learn.pixels)


def test_labels_that_the_model_does_not_know_give_no_accuracy(tmp_path: Path) -> None:
    for first, label in enumerate("ab"):
        _write(tmp_path / label, 3 * first, 3)
    assert read_calibration(replace(small_checkpoint(), labels=("a", "c")), tmp_path, 9).judge.targets is None


def test_a_damaged_photo_is_named_and_skipped(tmp_path: Path) -> None:
    _write(tmp_path, 0, 4)
    (tmp_path / "00.png").write_bytes((tmp_path / "00.png").read_bytes()[:200])
    said: list[str] = []
    found = read_calibration(small_checkpoint(), tmp_path, 9, said.append)
    assert len(found.learn) + len(found.judge) == 3
    assert any("00.png" in line for line in said)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_refused(tmp_path: Path, count: int) -> None:
    _write(tmp_path, 0, count)
    with pytest.raises(VecaError):
        read_calibration(small_checkpoint(), tmp_path, 9)


def test_no_such_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no such folder of images"):
        read_calibration(small_checkpoint(), tmp_path / "nowhere")
