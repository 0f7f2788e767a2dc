"""Photos decoded ahead, in order; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.photos.labelled_photos import cut, pieces, write_pieces
from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.skipping import Skipped
from veca_edge.photos.decoding import readable


def same(image: Image) -> Image:
    return image


def test_decoding_keeps_the_order_and_names_what_is_damaged(tmp_path: Path) -> None:
    paths = write_pieces(tmp_path, "milk", 30)
    cut(paths[7])
    said: list[str] = []
    found = list(readable(paths, same, said.append, threads=3))
    assert [index for index, _ in found] == [index for index in range(30) if index != 7]
    for index, image in found:
        assert np.array_equal(image, pieces("milk", 30)[index])
    (line,) = said
    assert line.startswith(f"skipped: {paths[7]} is damaged")


def test_decoding_looks_only_a_little_ahead(tmp_path: Path) -> None:
    seen: list[int] = []
    photos = readable(
        write_pieces(tmp_path, "milk", 1) * 100, lambda image: seen.append(len(image)), print, threads=2
    )
    next(photos)
    photos.close()
    assert len(seen) < 12


def test_a_photo_that_cannot_be_prepared_is_skipped(tmp_path: Path) -> None:
    def refuse(image: Image) -> Image:
        raise VecaError("too long")

    said: list[str] = []
    assert not list(readable(write_pieces(tmp_path, "milk", 1), refuse, said.append))
    assert said == ["skipped: too long"]


@pytest.mark.parametrize(("count", "named", "end"), [(5, 5, []), (9, 5, ["skipped: 4 more"])])
def test_many_skipped_files_are_counted(count: int, named: int, end: list[str]) -> None:
    said: list[str] = []
    with Skipped(said.append) as skipped:
        for index in range(count):
            skipped(f"photo {index}")
    assert said == [*(f"skipped: photo {index}" for index in range(named)), *end]
