"""Photos to evaluate on: folders with and without labels, samples, digests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.dense_sets import LABELS, scene, write_masks, write_values
from tests.known import known
from tests.photos.labelled_photos import cut, packaged, write_folders
from veca_edge.errors import VecaError
from veca_edge.photos.evaluation import read_images, read_photos
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


def test_masks_are_read_with_their_photos(tmp_path: Path) -> None:
    write_masks(tmp_path, train=2, val=4)
    cut(tmp_path / "val" / "images" / "101.png")
    photos = read_photos(tmp_path, 128)
    assert (photos.found, photos.skipped, known(photos.classes).labels) == (4, 1, LABELS)
    given = {mask.tobytes(): image for image, mask in map(scene, (100, 102, 103))}
    for image, mask in zip(photos.images, photos.masks, strict=True):
        assert np.array_equal(given.pop(mask.tobytes()), image)
    assert not given
    assert photos.targets(LABELS).tolist() == [-1] * 3


def test_a_large_mask_is_reduced_as_its_photo(tmp_path: Path) -> None:
    write_masks(tmp_path, train=1, val=1)
    (image, mask), val = scene(7, (60, 80)), tmp_path / "val"
    big, large = (np.ascontiguousarray(part.repeat(30, 0).repeat(30, 1)[:1790]) for part in (image, mask))
    save_png(val / "images" / "100.png", big)
    cv2.imwrite(str(val / "masks" / "100.png"), large)
    photos = read_photos(tmp_path, 1)
    assert photos.images[0].shape == (596, 800, 3)
    assert np.array_equal(photos.masks[0], mask.repeat(10, 0).repeat(10, 1)[:596])


def test_values_are_photos_alone(tmp_path: Path) -> None:
    photos = read_photos(write_values(tmp_path, train=1, val=2), 9)
    assert (len(photos.images), photos.masks, photos.classes) == (2, (), None)


def test_what_cannot_be_evaluated_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no such folder of photos"):
        read_photos(tmp_path / "none", 8)
    with pytest.raises(VecaError, match="no images in"):
        read_photos(tmp_path, 8)
    for path in write_folders(tmp_path, {".": 2}):
        path.write_bytes(b"no photo")
    with pytest.raises(VecaError, match="none of the 1 photos to evaluate on can be read"):
        read_photos(tmp_path, 8)


def test_images_of_a_folder_are_all_taken_and_of_a_set_some_that_are_kept_for_it(tmp_path: Path) -> None:
    photos = tmp_path / "set"
    photos.mkdir()
    write_masks(photos, train=3, val=4)
    assert len(read_images(photos / "val" / "images", 1)) == 4
    kept = {image.tobytes() for image, _ in map(scene, range(100, 104))}
    taken = [image.tobytes() for image in read_images(photos, 3)]
    assert len(taken) == len(set(taken)) == 3
    assert kept.issuperset(taken)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VecaError, match="there are no images in"):
        read_images(tmp_path / "empty", 1)
