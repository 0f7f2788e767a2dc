"""The picture of confusions."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from veca_edge.errors import VecaError
from veca_edge.training.heads.confusion import MOST_LABELS, confusion_shares, draw_confusion

pytest.importorskip("matplotlib")


def test_shares_by_hand() -> None:
    targets, answers = np.array([0, 0, 0, 0, 2, 5]), np.array([0, 0, 2, 5, 2, 0])
    shares = confusion_shares(answers, targets, np.array([0, 1, 2]))
    assert shares.tolist() == [[0.5, 0, 0.25], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_labels_of_any_script_are_drawn(tmp_path: Path, ending: str) -> None:
    labels = ("$\\frac{1}{", "苹果", "_hidden", "hat\N{ROCKET}", "<b>&amp;</b>")
    targets = np.arange(40) % 5
    path = tmp_path / f"confusion{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_confusion(path, (targets * 3) % 5, targets, labels, "title")
    assert path.stat().st_size > 2000
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_labels_those_with_mistakes_are_drawn(tmp_path: Path) -> None:
    count = 3 * MOST_LABELS
    targets = np.arange(count)
    answers = targets.copy()
    answers[200] = 150
    path = tmp_path / "confusion.svg"
    draw_confusion(path, answers, targets, tuple(f"label {i}" for i in range(count)), "title")
    drawn = path.read_text("utf-8")
    assert "label 150" in drawn
    assert "label 200" in drawn
    assert "label 199" not in drawn


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="cannot write"):
        draw_confusion(tmp_path / "no" / "x.png", np.array([0, 1]), np.array([0, 1]), ("a", "b"), "title")
