"""What photos have in common is measured once, and files and packages carry it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.known import known
from tests.photos.labelled_photos import tiny_checkpoint
from veca_edge.conversion.means import with_means
from veca_edge.converters.description import model_facts
from veca_edge.image.stills import images_in, read_image
from veca_edge.model.checkpoint import read_checkpoint, write_checkpoint
from veca_edge.photos.samples import packaged_folder
from veca_edge.runtime.model import load


def test_the_means_are_those_of_the_packaged_photos_results(tmp_path: Path) -> None:
    write_checkpoint(tiny_checkpoint(), tmp_path / "tiny.pt", half=False)
    checkpoint = read_checkpoint(tmp_path / "tiny.pt")
    found = known(with_means(checkpoint, None, 64, lambda *_: None).means)
    model = load(tmp_path / "tiny.pt")
    with packaged_folder() as folder:
        results = [model(read_image(path), image_size=64) for path in images_in(folder)]
    assert found.photos == len(results) == 16
    wanted = np.mean([result.embedding for result in results], 0), np.mean([r.features for r in results], (0, 1, 2))
    for mean, other in zip(found.arrays, wanted, strict=True):
        np.testing.assert_allclose(mean, other, atol=1e-5)


def test_manifests_get_them(tmp_path: Path) -> None:
    checkpoint = with_means(tiny_checkpoint(), None, 64, lambda *_: None)
    assert model_facts(checkpoint, 64)["means"] == checkpoint.means


@pytest.mark.parametrize("factor", [1e8, math.inf])
def test_means_that_no_file_could_be_read_with_are_left_out(factor: float) -> None:
    tiny = tiny_checkpoint()
    state = {**tiny.state, "final_norm.weight": tiny.state["final_norm.weight"] * factor}
    assert with_means(replace(tiny, state=state), None, 64, lambda *_: None).means is None
