from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.golden.result_vectors import result_of
from veca_edge.arrays import Float
from veca_edge.calibration.quality.agreement import (
    SIDE,
    Look,
    agreement,
    estimate,
    estimate_of_both,
    freshness_of,
    look,
    measure_of,
    single,
)
from veca_edge.governor.quality import MEASURES
from veca_edge.modelfile.heads import DenseTask, class_colours
from veca_edge.runtime.dense import DenseResult
from veca_edge.training.heads.dense_metrics import Confusions

LABELS = ("ground", "cat", "dog")
TASK = DenseTask("pets", "segmentation", 1, LABELS, class_colours(LABELS))


def seen(
    angle: float = 0.0, probabilities: Sequence[float] | None = None, **dense: NDArray[np.uint8] | Float
) -> Look:
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return Look(vector, vector, None if probabilities is None else np.array(probabilities, np.float32), dense)


def cells(*values: int, dtype: type = np.uint8) -> NDArray[np.uint8] | Float:
    found: NDArray[np.uint8] | Float = np.array(values, dtype)
    return found


def _agreement(found: Look, best: Look) -> float:
    return float(measure_of(agreement([found], [best])["dense_agreement"])[0])


def test_each_image_is_compared_by_every_measure() -> None:
    found = agreement(
        [seen(0.0, (0.5, 0.5, 0), pets=cells(0, 1)), seen(0.3, (0, 0, 1), pets=cells(0, 0))],
        [seen(0.0, (0.2, 0.5, 0.3), pets=cells(0, 1)), seen(0.0, (0, 0, 1), pets=cells(0, 1))],
    )
    assert found.keys() == MEASURES.keys()
    assert measure_of(found["embedding_cosine"]) == pytest.approx([1, np.cos(0.3)], abs=1e-6)
    assert measure_of(found["label_overlap"]) == pytest.approx([0.7, 1], abs=1e-6)  # 1 - half of |differences|
    assert measure_of(found["dense_agreement"]) == pytest.approx([1, 0.25])
    # Over images the cells of a class are added, not the ratios.
    assert measure_of(found["dense_agreement"].sum(axis=0)) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_outputs_that_a_model_lacks_are_no_measures() -> None:
    assert agreement([seen()], [seen()]).keys() == {"embedding_cosine", "feature_cosine"}


def test_a_result_is_looked_at_in_one_size() -> None:
    random = np.random.default_rng(0)
    pets = DenseResult(TASK, random.normal(size=(8, 6, 3)).astype(np.float32), (0, 0, 6, 8))
    depth = DenseResult(DenseTask("depth", "regression"), np.full((8, 6, 1), 2.5, np.float32), (0, 0, 6, 8))
    found = look(replace(result_of([1.0, 1.0]), dense={"pets": pets, "depth": depth}))
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [0.5, 0.5]
    assert found.dense["pets"].shape == found.dense["depth"].shape == (SIDE, SIDE)
    assert np.array_equal(found.dense["pets"], pets.classes(SIDE, SIDE))
    assert (found.dense["depth"] == 2.5).all()


def test_the_mean_iou_is_the_one_of_evaluate() -> None:
    random, tally = np.random.default_rng(1), Confusions(LABELS)
    pairs = []
    for _ in range(5):
        found, best = (random.integers(0, 3, (8, 8)).astype(np.uint8) for _ in range(2))
        tally.add(DenseResult(TASK, np.eye(3, dtype=np.float32)[found], (0, 0, 8, 8)), best)
        pairs.append((seen(pets=found), seen(pets=best)))
    looks, reference = zip(*pairs, strict=True)
    assert estimate(agreement(looks, reference)["dense_agreement"])[0] == pytest.approx(tally.scores().miou)


def test_a_class_that_the_best_hardly_shows_is_left_out() -> None:
    best, found = np.zeros((2, 300), np.uint8)
    best[0], found[:3] = 2, 1
    assert _agreement(seen(pets=found), seen(pets=best)) == pytest.approx(297 / 299)
    best[:150] = 2
    assert _agreement(seen(pets=found), seen(pets=best)) < 0.3


@pytest.mark.parametrize(
    ("found", "best", "wanted"),
    [
        ((2, 4), (2, 4), 1),
        ((2, 5), (2, 4), 5 / 6),
        ((9, 9), (1, 1), 0),
        ((0, 0), (0, 0), 1),
        ((-1, 2), (-2, 2), 3 / 4),
    ],
)
def test_a_regression_agrees_up_to_its_relative_error(
    found: tuple[int, ...], best: tuple[int, ...], wanted: float
) -> None:
    a, b = (cells(*values, dtype=np.float32) for values in (found, best))
    assert _agreement(seen(depth=a), seen(depth=b)) == pytest.approx(wanted)
    things = cells(0, 1)
    assert _agreement(seen(depth=a, pets=things), seen(depth=b, pets=things)) == pytest.approx((wanted + 1) / 2)


def test_the_error_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(2).random(12)
    counts = np.stack([single(value) for value in values])
    assert estimate(counts) == pytest.approx((values.mean(), values.std(ddof=1) / 12**0.5))
    blocks = values.reshape(3, 4).mean(axis=1)
    assert estimate(counts, block=4)[1] == pytest.approx(blocks.std(ddof=1) / 3**0.5)
    assert estimate(counts, block=12)[1] == 1  # nothing can be said
    value, error = estimate_of_both(counts, np.stack([single(0.5)] * 40), block=4)
    assert value == pytest.approx((values.mean() + 0.5) / 2)
    assert error == pytest.approx(estimate(counts, block=4)[1] / 2)


def test_the_error_of_a_mean_iou_is_what_other_images_would_change() -> None:
    """The jackknife's, against many draws of as many images."""
    random = np.random.default_rng(3)

    def drawn() -> tuple[float, float]:
        best = (random.random((30, 60)) < random.uniform(0.2, 0.6, (30, 1))).astype(np.uint8)
        found = np.where(random.random(best.shape) < random.uniform(0, 0.3, (30, 1)), 1 - best, best)
        looks, reference = ([seen(pets=image) for image in images] for images in (found, best))
        return estimate(agreement(looks, reference)["dense_agreement"])

    values, errors = np.array([drawn() for _ in range(150)]).T
    assert np.mean(errors) == pytest.approx(values.std(ddof=1), rel=0.25)


def test_an_older_result_is_worth_less_on_a_clip_that_turns() -> None:
    fresh = freshness_of([seen(0.01 * frame, (1.0, 0.0)) for frame in range(80)], 10.0)
    assert fresh.ages[:2] == (0, 0.1)
    assert len(fresh.ages) == 11  # up to one second
    assert fresh.worth[0] == 1 > fresh.worth[5] > fresh.worth[10]
