"""Photos of other things, in folders of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dense_sets import write_masks
from tests.photos.labelled_photos import write_folders
from veca_edge.errors import VecaError
from veca_edge.photos.unknown import read_unknown


@pytest.mark.parametrize("counts", [{".": 3}, {"a": 1, "b/c": 2}])
def test_any_folder_will_do(tmp_path: Path, counts: dict[str, int]) -> None:
    write_folders(tmp_path, counts)
    (tmp_path / "notes.txt").touch()
    photos = read_unknown(tmp_path, ("hat",))
    assert len(photos) == 3
    assert photos.label_names() == (None,) * 3


def test_masks_are_no_photos(tmp_path: Path) -> None:
    photos = read_unknown(write_masks(tmp_path, train=3, val=2), ())
    assert len(photos) == 5
    assert {path.parent.name for path in photos.paths} == {"images"}


def test_photos_of_labels_that_the_model_has_are_left_out(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train/hat": 2, "train/orange": 3})
    said: list[str] = []
    photos = read_unknown(tmp_path, ("hat", "milk"), said.append)
    assert {path.parent.name for path in photos.paths} == {"orange"}
    assert said == [f"{tmp_path}: 2 files in folders of labels that the model has: left out"]
    with pytest.raises(VecaError, match="no photo of a thing"):
        read_unknown(tmp_path, ("hat", "orange"))
