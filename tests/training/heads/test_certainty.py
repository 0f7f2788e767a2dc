"""The threshold, on answers whose confidence is known by construction, and on photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.known import known
from tests.photos.labelled_photos import tiny_checkpoint, write_folders, write_photos
from veca_edge.model.checkpoint import read_checkpoint, write_checkpoint
from veca_edge.modelfile.certainty import DEFAULT_THRESHOLD
from veca_edge.photos.folders import read_folder
from veca_edge.photos.unknown import read_unknown
from veca_edge.runtime.model import load
from veca_edge.training.heads.certainty import fit_certainty, fit_threshold
from veca_edge.training.heads.fitting import fit_head
from veca_edge.training.heads.metrics import Float, Targets

NOTHING = np.empty((0, 1))


def answers(count: int, seed: int = 0) -> tuple[Float, Targets]:
    """Logits (count, 1, 2) whose confidence is spread from 0.5 to 1, and targets that are right as often."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1, count)
    logits = np.stack((np.log(confidence / (1 - confidence)), np.zeros(count)), axis=1)[:, None]
    return logits, (generator.random(count) > confidence).astype(np.int64)


@pytest.mark.parametrize(
    ("sure", "right", "doubt", "threshold"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1], [], 0.6),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], [], 0.8),  # below it fewer than 85 % are right
        ([0.9, 0.8, 0.4, 0.3], [1, 1, 1, 1], [], 0.8),  # nothing was said of other things: not below the default
        ([0.9, 0.8, 0.4, 0.3], [1, 1, 1, 1], [0.1, 0.2], 0.3),
        ([0.9, 0.8, 0.4, 0.3], [1, 1, 1, 1], [0.85, *[0.1] * 9], 0.3),  # one in ten may
        ([0.9, 0.8, 0.4, 0.3], [1, 1, 1, 1], [0.85, 0.85, *[0.1] * 8], 0.9),
        ([0.9, 0.7, 0.7], [1, 1, 0], [], 0.9),  # equal ones are answered together
        ([0.9, 0.8], [0, 0], [0.1], DEFAULT_THRESHOLD),
        ([], [], [0.1], DEFAULT_THRESHOLD),
    ],
)
def test_the_threshold_is_the_lowest_that_is_good_enough(
    sure: list[float], right: list[int], doubt: list[float], threshold: float
) -> None:
    columns = np.array(sure)[:, None], np.array(right, bool)[:, None], np.array(doubt)[:, None]
    assert fit_threshold(*columns) == threshold


def test_what_it_says_of_itself_holds_for_new_photos() -> None:
    found = fit_certainty(*answers(4000), answers(2000, 1)[0] / 2, 1.0)
    logits, targets = answers(4000, 2)
    given = np.array([found.sure(row[0]) for row in logits])
    others = np.array([found.sure(row[0]) for row in answers(2000, 3)[0] / 2])
    right = (logits[given, 0].argmax(axis=1) == targets[given]).mean()
    about = dict(found.about)
    assert (about["photos"], about["unknown_photos"]) == (4000, 2000)
    assert about["answered"] == pytest.approx(given.mean(), abs=0.03)
    assert about["precision"] == pytest.approx(right, abs=0.03)
    assert about["unknown_answered"] == pytest.approx(others.mean(), abs=0.03)
    assert others.mean() == pytest.approx(0.1, abs=0.03)
    assert right > 0.85


def test_few_photos_or_none_leave_the_default() -> None:
    logits, targets = answers(40)
    few = fit_certainty(logits, targets, None, 1.5)
    assert (few.temperature, few.threshold) == (1.5, DEFAULT_THRESHOLD)
    assert few.about["answered"] > 0
    assert fit_certainty(logits[:0], targets[:0], None, 1.0).threshold == DEFAULT_THRESHOLD


def test_a_fitted_head_carries_it_to_the_result(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", train=10, val=20)
    write_folders(tmp_path / "others", {"orange": 30})
    splits = read_folder(tmp_path / "photos")
    fitted = fit_head(tiny_checkpoint(), splits, unknown=read_unknown(tmp_path / "others", splits.train.labels))
    certainty = known(fitted.checkpoint.certainty)
    assert (certainty.temperature, certainty.about["photos"], certainty.about["unknown_photos"]) == (1, 60, 30)
    assert set(certainty.about) == {"photos", "unknown_photos", "precision", "answered", "unknown_answered"}
    write_checkpoint(fitted.checkpoint, tmp_path / "mine.pt")
    assert read_checkpoint(tmp_path / "mine.pt").certainty == certainty
    assert load(tmp_path / "mine.pt", threads=1).certainty == certainty
