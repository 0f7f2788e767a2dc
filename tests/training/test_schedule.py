from __future__ import annotations

import numpy as np
import pytest

from veca_edge.training.schedule import Schedule, StepPlan, rate_at
from veca_edge.training.settings import load_recipe


def schedule(photos: int = 50, *changes: str) -> Schedule:
    recipe = load_recipe(None, ["batch_size=8", "epochs=12", *changes])
    return Schedule(recipe, recipe.model_config(), photos)


def plans(photos: int, phases: str) -> list[StepPlan]:
    """All steps with these phases."""
    made = schedule(photos, f"phases={phases}")
    return [made.at(step) for step in range(made.steps)]


def test_every_epoch_shows_every_photo_once_in_another_order() -> None:
    epochs = np.concatenate([schedule().photos_at(step) for step in range(schedule().steps)]).reshape(12, 50)
    assert all(set(epoch) == set(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 12


def test_a_step_depends_on_its_number_alone() -> None:
    forward, backward, other = schedule(), schedule(), schedule(50, "seed=1")
    steps = [(forward.at(step), forward.photos_at(step).tolist()) for step in range(20)]
    again = [(backward.at(step), backward.photos_at(step).tolist()) for step in reversed(range(20))]
    assert steps == again[::-1]
    assert [other.photos_at(step).tolist() for step in range(20)] != [photos for _, photos in steps]


def test_fewer_photos_than_a_batch_come_several_times() -> None:
    assert np.bincount(schedule(3).photos_at(0)).tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def test_budgets_are_drawn_with_the_published_weights() -> None:
    one = schedule()
    drawn = [one.at(step).cores for step in range(4000)]
    counts = np.array([drawn.count(cores) for cores in range(8, 65, 8)]) / 4000
    np.testing.assert_allclose(counts, np.array([1, 1, 2, 2, 3, 3, 4, 4]) / 20, atol=0.025)


def test_phases_follow_each_other() -> None:
    sizes = [plan.size for plan in plans(800, "[{share=3, sizes=[128]}, {share=1, sizes=[192, 256]}]")]
    assert len(sizes) == 1200
    assert set(sizes[:900]) == {128}
    assert set(sizes[900:]) == {192, 256}
    assert 100 < sizes.count(256) < 200


def test_a_phase_may_have_its_own_budgets_and_show_some_of_the_patches() -> None:
    found = plans(800, "[{share=1, sizes=[96], cores=[8, 24], patches=0.25}, {share=1, sizes=[128]}]")
    cores = [plan.cores for plan in found]
    assert set(cores[:600]) == {8, 24}
    assert 360 < cores[:600].count(24) < 440  # 2 of 3, as with all budgets
    assert set(cores[600:]) == set(range(8, 65, 8))
    assert [plan.patches for plan in found] == [0.25] * 600 + [1] * 600


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.1), (9, 1.0), (10, 1.0), (55, 0.55), (99, 0.1 + 0.9 * 0.5 * 0.0006)]
)
def test_the_rate_warms_up_linearly_and_falls_as_a_cosine(step: int, expected: float) -> None:
    assert rate_at(step, 100, 0.1, 0.1) == pytest.approx(expected, abs=1e-3)


def test_validation_comes_every_so_many_epochs_and_at_the_end() -> None:
    short = schedule(50, "validation.every_epochs=5")
    after = [step + 1 for step in range(short.steps) if short.validates_after(step)]
    assert after == [32, 63, 75]  # 250, 500 and 600 photos in batches of 8
