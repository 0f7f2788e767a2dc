"""From photos to a checkpoint with a head that serves all budgets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.known import known
from tests.photos.labelled_photos import LABELS, cut, tiny_checkpoint, write_photos
from veca_edge.errors import VecaError
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint, write_checkpoint
from veca_edge.photos.folders import Splits, read_folder
from veca_edge.runtime.model import load
from veca_edge.training.heads.features import Extractor
from veca_edge.training.heads.fitting import FittedHead, fit_head


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return read_folder(write_photos(tmp_path_factory.mktemp("photos")))


@pytest.fixture(scope="module")
def fitted(photos: Splits) -> FittedHead:
    return fit_head(tiny_checkpoint(), photos)


def test_new_photos_are_recognised_at_every_budget_and_the_model_stays_as_it_is(fitted: FittedHead) -> None:
    assert [quality.cores for quality in fitted.budgets] == [8, 16, 24]
    assert min(quality.scores.top1 for quality in fitted.budgets) > 0.9
    assert fitted.checkpoint.labels == LABELS
    assert (len(fitted.train), len(fitted.val)) == (30, 12)
    assert [quality.previous_top1 for quality in fitted.budgets] == [None, None, None]
    assert not fitted.familiar
    before = tiny_checkpoint()
    assert fitted.checkpoint.config == before.config
    assert all(torch.equal(fitted.checkpoint.state[name], value) for name, value in before.state.items())


def test_the_written_checkpoint_answers_as_it_was_evaluated(
    fitted: FittedHead, photos: Splits, tmp_path: Path
) -> None:
    write_checkpoint(fitted.checkpoint, tmp_path / "mine.pt")
    model = load(tmp_path / "mine.pt", threads=1)
    assert model.labels == LABELS
    for quality in fitted.budgets:
        results = [model(read_image(path), cores=quality.cores) for path in photos.val.paths]
        assert [int(known(result.logits).argmax()) for result in results] == quality.scores.answers.tolist()
        assert results[0].image_size == (64, 64)


def test_the_temperature_is_inside_the_head(fitted: FittedHead, photos: Splits) -> None:
    """Its own logits times the temperature are the head's that was fitted without one."""
    again = fit_head(replace(fitted.checkpoint, head=None, labels=()), photos)
    assert again.temperature == pytest.approx(fitted.temperature, rel=1e-3)
    logits = known(fitted.checkpoint.head)["weight"] * fitted.temperature
    assert logits.numpy() == pytest.approx(
        known(again.checkpoint.head)["weight"].numpy() * again.temperature, rel=1e-2
    )
    assert fitted.temperature != pytest.approx(1, abs=0.02)


def test_a_head_for_the_same_labels_is_compared_with(fitted: FittedHead, photos: Splits) -> None:
    names = (2, 0, 1)  # in another order
    head = {name: value[list(names)] for name, value in known(fitted.checkpoint.head).items()}
    shuffled = replace(fitted.checkpoint, head=head, labels=tuple(LABELS[i] for i in names))
    again = fit_head(shuffled, photos)
    tops = [quality.scores.top1 for quality in fitted.budgets]
    assert [quality.previous_top1 for quality in again.budgets] == pytest.approx(tops, abs=1e-5)


def test_a_large_set_is_not_computed_at_every_budget(photos: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veca_edge.training.heads.fitting.LOOKS", 30)
    seen, compute = list[int](), Extractor.compute

    def counted(*given: Any) -> NDArray[np.float16]:
        seen.append(len(given[1]))
        return compute(*given)

    monkeypatch.setattr(Extractor, "compute", counted)
    fitted = fit_head(tiny_checkpoint(), photos, image_size=32)
    assert sum(seen) == 30 * 2 + 12 * 3
    assert fitted.checkpoint.preprocessing["image_size"] == 32
    assert min(quality.scores.top1 for quality in fitted.budgets) > 0.9


def test_confidence_is_measured_on_photos_that_it_was_not_fitted_on(tmp_path: Path) -> None:
    """Labels by chance: what the head is sure of in train does not hold, and the temperature finds out."""
    photos = read_folder(write_photos(tmp_path, train=30, val=30))
    generator = np.random.default_rng(0)
    splits = replace(photos, val=replace(photos.val, targets=generator.permutation(photos.val.targets)))
    fitted = fit_head(tiny_checkpoint(), splits, budgets=(24,))
    (quality,) = fitted.budgets
    assert fitted.temperature > 3
    assert fitted.familiar
    assert quality.ece_before > 0.4
    assert quality.scores.ece < 0.25
    assert quality.scores.nll > np.log(3) - 0.05  # no better than a guess


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image_size": 40}, "both sides must be multiples of 16"),
        ({"image_size": 5000}, "image size 5000: use a whole number of pixels, 1 to 4096"),
        ({"budgets": (8, 12)}, "12 cores: use a multiple of 8 from 8 to 24"),
        ({"budgets": (32,)}, "32 cores"),
    ],
)
def test_what_the_model_cannot_take_is_refused(photos: Splits, given: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        fit_head(tiny_checkpoint(), photos, **given)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [("train/hat", "no photo of hat in train could be read"), ("val", "no photo in val could be read")],
)
def test_when_nothing_of_a_kind_can_be_read(tmp_path: Path, damaged: str, message: str) -> None:
    folder = write_photos(tmp_path, train=3, val=1)
    for path in (folder / damaged).rglob("*.png"):
        cut(path)
    with pytest.raises(VecaError, match=message):
        fit_head(tiny_checkpoint(), read_folder(folder), image_size=32)


def test_progress_comes_in_stages(photos: Splits) -> None:
    told: list[tuple[str, float]] = []
    fit_head(tiny_checkpoint(), photos, image_size=48, progress=lambda stage, done: told.append((stage, done)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["features of train", "features of val", "fitting"]
    for stage in stages:
        shares = [done for name, done in told if name == stage]
        assert (shares[0], shares[-1]) == (0, 1)
        assert shares == sorted(shares)


def test_the_default_model_learns_its_labels_again(photos: Splits) -> None:
    fitted = fit_head(read_checkpoint(default_checkpoint_path()), photos, budgets=(8, 64))
    assert [quality.scores.top1 for quality in fitted.budgets] == [1, 1]
