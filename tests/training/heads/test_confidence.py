"""The temperature, on answers whose right one is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from veca_edge.runtime.result import log_softmax
from veca_edge.training.heads.confidence import cross_fitted, fit_temperature
from veca_edge.training.heads.metrics import calibration_error


def answers(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (count, 2, 6) and targets that are drawn from their softmax at a temperature."""
    generator = np.random.default_rng(seed)
    logits = 4 * generator.normal(size=(count, 1, 6))
    chances = np.exp(log_softmax(logits[:, 0] / temperature))
    targets = np.array([generator.choice(6, p=row / row.sum()) for row in chances])
    return np.repeat(logits, 2, axis=1), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_finds_the_temperature_behind_the_answers(temperature: float) -> None:
    assert fit_temperature(*answers(3000, temperature)) == pytest.approx(temperature, rel=0.1)


def test_few_photos_pull_little() -> None:
    logits, _ = answers(4, 1.0)
    all_right = logits[:, 0].argmax(axis=1)
    assert 0.6 < fit_temperature(logits, all_right) < 1
    assert fit_temperature(logits[:0], all_right[:0]) == pytest.approx(1, abs=1e-4)


def test_confidence_means_more_afterwards_also_on_other_photos() -> None:
    logits, targets = answers(2000, 3.0)
    cooled = cross_fitted(logits, targets)
    before, after = (calibration_error(np.exp(log_softmax(x[:, 0])), targets) for x in (logits, cooled))
    assert before > 0.2
    assert after < 0.05
    assert np.array_equal(cooled.argmax(2), logits.argmax(2))


def test_each_half_gets_the_temperature_of_the_other() -> None:
    logits, targets = answers(400, 3.0)
    ratios = logits[:, 0, 0] / cross_fitted(logits, targets)[:, 0, 0]
    first, second = sorted({round(ratio, 6) for ratio in ratios.tolist()})
    assert first != second
    assert np.isclose(ratios, first).sum() == 200


def test_a_single_photo_is_left_alone() -> None:
    logits, targets = answers(1, 1.0)
    assert cross_fitted(logits, targets) == pytest.approx(logits, rel=1e-3)
