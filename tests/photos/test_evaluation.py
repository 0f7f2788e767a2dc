"""Photos to judge by: folders with and without labels, samples, digests."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.photos.evaluation import read_photos


@pytest.fixture
def packaged() -> list[Path]:
    return sorted(Path(str(resources.files("veca_edge.assets") / "photos")).glob("*.jpg"))


def _copy(paths: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder)


def test_the_packaged_photos_have_no_labels() -> None:
    photos = read_photos(None, 128)
    assert (len(photos.images), photos.found, photos.skipped) == (16, 16, 0)
    assert photos.targets(("milk",)).tolist() == [-1] * 16
    assert photos.digest == read_photos(None, 128).digest


def test_a_folder_is_sampled_the_same_way_every_time(tmp_path: Path, packaged: list[Path]) -> None:
    _copy(packaged, tmp_path / "photos")
    one, same, all_of_them = (read_photos(tmp_path / "photos", most) for most in (5, 5, 16))
    assert len(one.images) == 5
    assert one.found == 8  # the other half is to learn from
    assert one.digest == same.digest != all_of_them.digest
    for path in packaged:
        (tmp_path / "photos" / path.name).write_bytes(packaged[0].read_bytes())
    assert read_photos(tmp_path / "photos", 5).digest != one.digest


def test_folders_are_labels_and_an_unreadable_photo_is_skipped(tmp_path: Path, packaged: list[Path]) -> None:
    for label in ("milk", "shoe"):
        _copy(packaged[:3], tmp_path / "train" / label)
        _copy(packaged[3:6], tmp_path / "val" / label)
    whole = packaged[3].read_bytes()
    (tmp_path / "val" / "milk" / packaged[3].name).write_bytes(whole[:700])  # its header is whole
    photos = read_photos(tmp_path, 128)
    assert (photos.found, photos.skipped, len(photos.images)) == (6, 1, 5)
    assert sorted(map(str, photos.labels)) == ["milk"] * 2 + ["shoe"] * 3
    assert sorted(photos.targets(("apple", "shoe")).tolist()) == [-1, -1, 1, 1, 1]


def test_large_photos_are_reduced(tmp_path: Path, packaged: list[Path]) -> None:
    cv2 = pytest.importorskip("cv2")
    small = cv2.imread(str(packaged[0]))
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), cv2.resize(small, (4000, 3000), interpolation=cv2.INTER_CUBIC))
    (image,) = read_photos(tmp_path, 1).images
    assert image.shape == (600, 800, 3)
    assert abs(image.mean(axis=(0, 1)) - small[..., ::-1].mean(axis=(0, 1))).max() < 1


def test_what_cannot_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no such folder of images"):
        read_photos(tmp_path / "none", 8)
    with pytest.raises(VecaError, match="no images in"):
        read_photos(tmp_path, 8)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"no photo")
    with pytest.raises(VecaError, match="none of the 1 photos to judge by can be read"):
        read_photos(tmp_path, 8)
