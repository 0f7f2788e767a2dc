"""Photos to evaluate on: folders with and without labels, samples, digests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.photos.labelled_photos import cut, packaged, write_folders
from veca_edge.errors import VecaError
from veca_edge.photos.evaluation import read_photos
from veca_edge.playback.writers import save_png


def test_the_packaged_photos_have_no_labels() -> None:
    photos = read_photos(None, 128)
    assert (len(photos.images), photos.found, photos.skipped) == (16, 16, 0)
    assert photos.targets(("milk",)).tolist() == [-1] * 16
    assert photos.digest == read_photos(None, 128).digest


def test_a_folder_is_sampled_the_same_way_every_time(tmp_path: Path) -> None:
    paths = write_folders(tmp_path, {".": 16})
    one, same, all_of_them = (read_photos(tmp_path, most) for most in (5, 5, 16))
    assert len(one.images) == 5
    assert one.found == 8  # the other half is to learn from
    assert one.digest == same.digest != all_of_them.digest
    for path in paths:
        path.write_bytes(paths[0].read_bytes())
    assert read_photos(tmp_path, 5).digest != one.digest


def test_folders_are_labels_and_an_unreadable_photo_is_skipped(tmp_path: Path) -> None:
    write_folders(tmp_path, {f"{split}/{label}": 3 for split in ("train", "val") for label in ("milk", "shoe")})
    cut(tmp_path / "val" / "milk" / "00.png")
    photos = read_photos(tmp_path, 128)
    assert (photos.found, photos.skipped, len(photos.images)) == (6, 1, 5)
    assert sorted(map(str, photos.labels)) == ["milk"] * 2 + ["shoe"] * 3
    assert sorted(photos.targets(("apple", "shoe")).tolist()) == [-1, -1, 1, 1, 1]


def test_large_photos_are_reduced(tmp_path: Path) -> None:
    small = packaged("milk")
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, np.ascontiguousarray(small.repeat(21, 0)[:3000].repeat(28, 1)[:, :4000]))
    (image,) = read_photos(tmp_path, 1).images
    assert image.shape == (600, 800, 3)
    assert abs(image.mean(axis=(0, 1)) - small.mean(axis=(0, 1))).max() < 2


def test_what_cannot_be_evaluated_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no such folder of photos"):
        read_photos(tmp_path / "none", 8)
    with pytest.raises(VecaError, match="no images in"):
        read_photos(tmp_path, 8)
    for path in write_folders(tmp_path, {".": 2}):
        path.write_bytes(b"no photo")
    with pytest.raises(VecaError, match="none of the 1 photos to evaluate on can be read"):
        read_photos(tmp_path, 8)
