"""Accuracy, calibration and confusions, on answers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from veca_edge.training.heads.metrics import Confusion, LabelQuality, calibration_error, evaluate

LABELS = ("a", "b", "c", "d", "e", "f", "g")


def logits_of(*answers: int) -> np.ndarray:
    return 50 * np.eye(len(LABELS))[list(answers)]


def test_calibration_error_by_hand() -> None:
    """Two photos at 0.6 of which one is right, two at 0.9, both right: (2 |0.5 - 0.6| + 2 |1 - 0.9|) / 4."""
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    targets = np.array([0, 0, 0, 1])
    assert calibration_error(probabilities, targets) == pytest.approx(0.1)


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not() -> None:
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_error(certain, np.array([0, 1])) == 0
    assert calibration_error(certain, np.array([1, 0])) == 1


def test_worst_labels_and_confusions() -> None:
    targets = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3])
    scores = evaluate(logits_of(0, 0, 0, 1, 2, 2, 2, 2, 0), targets, LABELS)
    assert scores.top1 == pytest.approx(5 / 9)
    assert scores.worst == (
        LabelQuality("b", 0, 2),
        LabelQuality("d", 0, 1),
        LabelQuality("a", 3, 4),
        LabelQuality("c", 2, 2),
    )
    assert scores.confusions == (Confusion("b", "c", 2), Confusion("a", "b", 1), Confusion("d", "a", 1))


def test_top5_counts_the_five_most_likely() -> None:
    logits = np.tile(np.arange(7.0), (7, 1))
    scores = evaluate(logits, np.arange(7), LABELS)
    assert [scores.top1, scores.top5] == pytest.approx([1 / 7, 5 / 7])


def test_no_mistakes_no_confusions() -> None:
    scores = evaluate(logits_of(0, 1), np.array([0, 1]), LABELS)
    assert scores.confusions == ()
    assert scores.to_dict()["worst"][0] == {"label": "a", "right": 1, "photos": 1}
