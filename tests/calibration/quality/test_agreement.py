from __future__ import annotations

import numpy as np
import pytest

from veca_edge.calibration.quality.agreement import Look, agreement, freshness_of, mean_of


def look(angle: float, label: int | None = None) -> Look:
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return Look(vector, vector, label)


def test_cosines_and_equal_labels_image_by_image() -> None:
    found = agreement([look(0.0, 1), look(0.3, 2)], [look(0.0, 1), look(0.0, 1)])
    assert found.embedding == pytest.approx([1, np.cos(0.3)], abs=1e-6)
    assert found.means == pytest.approx(((1 + np.cos(0.3)) / 2, (1 + np.cos(0.3)) / 2, 0.5), abs=1e-6)
    assert agreement([look(0.0)], [look(0.0)]).same is None


def test_clip_and_photos_count_the_same() -> None:
    assert mean_of((1.0, 0.8, 0.5), (0.0, 0.4, None)) == pytest.approx((0.5, 0.6, None))


def test_an_older_result_is_worth_less_on_a_clip_that_turns() -> None:
    fresh = freshness_of([look(0.01 * frame, 0) for frame in range(80)], 10.0)
    assert fresh.ages[:2] == (0, 0.1)
    assert len(fresh.ages) == 11  # up to one second
    assert fresh.worth[0] == 1 > fresh.worth[5] > fresh.worth[10]
