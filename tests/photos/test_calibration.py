"""Calibration images from the kinds of folders that users have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.calibration.benchmark.small_models import small_checkpoint
from tests.dense_sets import write_masks
from tests.photos.labelled_photos import cut, write_folders
from veca_edge.errors import VecaError
from veca_edge.photos.calibration import read_calibration


def test_packaged_samples_are_halved() -> None:
    found = read_calibration(small_checkpoint(), None)
    assert (len(found.learn), len(found.evaluate)) == (8, 8)
    assert found.learn.pixels.shape == (8, 64, 64, 3)
    assert found.learn.targets is None
    both = [image.tobytes() for image in (*found.learn.pixels, *found.evaluate.pixels)]
    assert len(set(both)) == 16


def test_train_is_learned_from_and_val_evaluated_on(tmp_path: Path) -> None:
    write_folders(tmp_path, {f"{split}/{label}": 3 for split in ("train", "val") for label in "ab"})
    checkpoint = replace(small_checkpoint(), labels=("b", "c", "a"))
    found = read_calibration(checkpoint, tmp_path, 4)
    assert (len(found.learn), len(found.evaluate)) == (4, 4)
    assert found.evaluate.targets is not None
    assert set(found.evaluate.targets) == {0, 2}  # as the model counts: "b" and "a"
    again = read_calibration(checkpoint, tmp_path, 4)
    assert again.to_dict() == found.to_dict()
    np.testing.assert_array_equal(again.learn.pixels, found.learn.pixels)
    others = replace(small_checkpoint(), labels=("a", "c"))  # which do not include all of the folder's
    assert read_calibration(others, tmp_path, 9).evaluate.targets is None


def test_masks_are_no_photos(tmp_path: Path) -> None:
    found = read_calibration(small_checkpoint(), write_masks(tmp_path, train=3, val=2), 9)
    assert (len(found.learn), len(found.evaluate)) == (3, 2)
    assert found.evaluate.targets is None
    assert all(image.mean() > 50 for image in (*found.learn.pixels, *found.evaluate.pixels))  # masks are dark


def test_a_damaged_photo_is_named_and_skipped(tmp_path: Path) -> None:
    cut(write_folders(tmp_path, {".": 4})[0])
    said: list[str] = []
    found = read_calibration(small_checkpoint(), tmp_path, 9, said.append)
    assert len(found.learn) + len(found.evaluate) == 3
    assert any("00.png" in line for line in said)


@pytest.mark.parametrize(
    ("count", "message"),
    [(None, "no such folder of photos"), (0, "no images in"), (1, "1 photo is too few")],
)
def test_too_few_images_are_refused(tmp_path: Path, count: int | None, message: str) -> None:
    if count is not None:
        write_folders(tmp_path / "photos", {".": count})
    with pytest.raises(VecaError, match=message):
        read_calibration(small_checkpoint(), tmp_path / "photos", 9)
