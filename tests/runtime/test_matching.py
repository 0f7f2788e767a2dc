from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from veca_edge import Model
from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError
from veca_edge.runtime.matching import match_patches, patch_centres
from veca_edge.runtime.result import Result


def result(features: NDArray[Any], crop: tuple[Any, ...] = (0, 0, 64, 48)) -> Result:
    features = np.asarray(features, np.float32)
    size = (16 * features.shape[0], 16 * features.shape[1])
    return Result(features[0, 0], features, None, None, (), 8, size, crop, 0.0)


@pytest.fixture
def features() -> Float:
    return np.random.default_rng(0).normal(size=(3, 4, 32)).astype(np.float32)


def test_a_picture_matches_itself_patch_by_patch(features: Float) -> None:
    matches = match_patches(result(features), result(features))
    assert len(matches) == 12
    np.testing.assert_array_equal(matches.first, matches.second)
    np.testing.assert_allclose(matches.similarity, 1, atol=1e-5)


def test_patches_are_found_where_they_went(features: Float) -> None:
    moved = np.roll(features, 1, axis=1)
    matches = match_patches(result(features), result(moved))
    assert len(matches) == 12
    np.testing.assert_allclose((matches.second - matches.first)[:, 0] % 64, 16)
    np.testing.assert_array_equal(matches.second[:, 1], matches.first[:, 1])


def test_what_a_picture_has_in_common_does_not_count(features: Float) -> None:
    matches = match_patches(result(features), result(features + 100 * np.ones(32, np.float32)))
    np.testing.assert_array_equal(matches.first, matches.second)


def test_centres_are_in_pixels_of_the_given_picture(features: Float) -> None:
    centres = patch_centres(result(features, crop=(100, 40, 400, 300)))
    np.testing.assert_allclose(centres[0], (150, 90))
    np.testing.assert_allclose(centres[-1], (450, 290))


def test_the_best_come_first_and_weak_ones_are_left_out(features: Float) -> None:
    noisy = features + np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    matches = match_patches(result(features), result(noisy))
    assert (np.diff(matches.similarity) <= 0).all()
    middle = float(np.median(matches.similarity))
    fewer = match_patches(result(features), result(noisy), min_similarity=middle)
    assert 0 < len(fewer) < len(matches)
    assert (fewer.similarity >= middle).all()


def test_pictures_of_different_sizes_match(features: Float) -> None:
    one, other = result(features), result(features[:2], crop=(0, 0, 64, 32))
    assert len(match_patches(one, other)) == 8


def test_a_picture_of_one_colour_matches_nothing_in_particular() -> None:
    flat = result(np.ones((2, 2, 8)))
    matches = match_patches(flat, flat, min_similarity=0.5)
    assert len(matches) == 0


def test_results_of_different_models_are_refused(features: Float) -> None:
    with pytest.raises(VecaError, match="32 and 16 values"):
        match_patches(result(features), result(features[..., :16]))


def test_with_a_real_model_at_two_budgets(model: Model, photo: Image) -> None:
    few, many = model(photo, cores=8), model(photo, cores=64)
    matches = match_patches(few, replace(many))
    same = (matches.first == matches.second).all(1).mean()
    assert same > 0.9
