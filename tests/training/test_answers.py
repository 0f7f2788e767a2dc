from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.known import known
from tests.training.training_sets import ALONE, store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.photos.store import PhotoStore
from veca_edge.training.answers import KeptAnswers, LiveAnswers, keep_answers, kept_boxes
from veca_edge.training.settings import Recipe
from veca_edge.training.teachers import TeacherOutput, ask
from veca_edge.training.trainer import autocast_for
from veca_edge.training.views import Views, crop, draw_views, normalise, render

CPU = ALONE.device
CHANGES = ("teacher.views=3", "augment.brightness=0", "augment.contrast=0", "augment.saturation=0")


def teacher(images: torch.Tensor) -> tuple[Any, ...]:
    """Means of 8 x 8 pixels, of which a mirrored image gives the mirrored ones."""
    cells = torch.nn.functional.avg_pool2d(images, 8)
    pooled = cells.mean((2, 3))
    return pooled, cells.flatten(2).transpose(1, 2), pooled


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Recipe, PhotoStore, KeptAnswers]:
    """(recipe, photos, what is kept of them)"""
    recipe, photos = tiny_recipe(tmp_path, *CHANGES, "phases=[{sizes=[32]}]"), store(24)
    path = tmp_path / "answers.npy"
    keep_answers(path, teacher, photos, recipe, autocast_for(recipe, CPU), CPU)
    return recipe, photos, KeptAnswers(path, len(photos), recipe, CPU)


def asked(images: torch.Tensor) -> TeacherOutput:
    return ask(teacher, normalise(images))


def drawn(recipe: Recipe, count: int, seed: int = 0) -> tuple[torch.Tensor, Views]:
    """(chosen, views) of a batch."""
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.permutation(count)[:12]), draw_views(12, recipe.augment, generator)


def test_a_kept_answer_is_what_the_teacher_says_of_the_view(kept: tuple[Recipe, PhotoStore, KeptAnswers]) -> None:
    recipe, photos, answers = kept
    settings = replace(recipe.augment, mixup=0.0, cutmix=0.0)
    chosen, views = drawn(replace(recipe, augment=settings), len(photos))
    views = answers.seen(chosen, views, np.random.default_rng(1))
    mirrored = views.boxes[:, 0] > views.boxes[:, 2]
    assert 0 < mirrored.sum() < 12
    assert set(views.picks) == {0, 1, 2}
    part = slice(2, 11)
    images, _ = render(photos, chosen, views, part, 32, CPU)
    said, want = answers.answer(images, chosen, views, part), asked(images)
    # The grid of 2 x 2 patches of a 32-pixel image is the mean of the teacher's 4 x 4.
    coarse = want.features.view(9, 2, 2, 2, 2, 3).mean((2, 4)).flatten(1, 2)
    torch.testing.assert_close(said.features, coarse, atol=0.15, rtol=0)  # its filter is a triangle, not a box
    assert torch.corrcoef(torch.stack((said.features.flatten(), coarse.flatten())))[0, 1] > 0.99
    torch.testing.assert_close(said.embedding, want.embedding, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(said.logits, want.logits, atol=2e-3, rtol=2e-3)


def test_mixed_views_get_mixed_answers(kept: tuple[Recipe, PhotoStore, KeptAnswers]) -> None:
    recipe, photos, answers = kept
    chosen, views = drawn(recipe, len(photos), seed=3)
    views = answers.seen(chosen, views, np.random.default_rng(1))
    mixed = views.shares < 1
    assert 0 < mixed.sum() < 12
    images, _ = render(photos, chosen, views, slice(0, 12), 32, CPU)
    said = answers.answer(images, chosen, views, slice(0, 12))
    # This teacher is linear: what it says of a blend of images is the blend of what it says of both.
    plain = ~torch.from_numpy(mixed & views.cut)
    assert 0 < int(plain.sum()) < 12
    torch.testing.assert_close(said.embedding[plain], asked(images).embedding[plain], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(known(said.logits).exp().sum(-1)[mixed], torch.ones(int(mixed.sum())))
    assert said.features.shape == (12, 4, 3)


def test_draws_are_repeated_and_crops_differ(kept: tuple[Recipe, PhotoStore, KeptAnswers]) -> None:
    recipe, photos, answers = kept
    chosen, views = drawn(recipe, len(photos))
    first, again = (answers.seen(chosen, views, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first.boxes, again.boxes)
    assert np.array_equal(first.picks, again.picks)
    boxes = kept_boxes(len(photos), recipe)
    assert boxes.shape == (24, 3, 4)
    assert len(np.unique(boxes.reshape(-1, 4), axis=0)) == 72
    assert np.array_equal(boxes, kept_boxes(len(photos), recipe))
    assert np.array_equal(first.shares, views.shares)
    assert np.array_equal(first.colours, views.colours)


def test_without_mirroring_no_view_is_mirrored(tmp_path: Path) -> None:
    recipe, photos = tiny_recipe(tmp_path, *CHANGES, "augment.mirror=false"), store(24)
    path = tmp_path / "answers.npy"
    keep_answers(path, teacher, photos, recipe, autocast_for(recipe, CPU), CPU)
    chosen, views = drawn(recipe, len(photos))
    boxes = KeptAnswers(path, 24, recipe, CPU).seen(chosen, views, np.random.default_rng(0)).boxes
    assert (boxes[:, 0] < boxes[:, 2]).all()


def test_statistics_are_those_of_a_teacher_that_is_asked(kept: tuple[Recipe, PhotoStore, KeptAnswers]) -> None:
    recipe, photos, answers = kept
    live = LiveAnswers(teacher, photos, recipe, autocast_for(recipe, CPU), CPU).sample()
    sample = answers.sample()
    assert len(live.embedding) == 24
    assert len(sample.embedding) == 256
    torch.testing.assert_close(sample.embedding.mean(0), live.embedding.mean(0), atol=0.2, rtol=0)
    assert known(sample.logits).shape == (256, 3)
    assert known(live.logits).shape == (24, 3)


def test_a_teacher_without_logits(tmp_path: Path) -> None:
    recipe, photos = tiny_recipe(tmp_path, *CHANGES), store(24)
    path, done = tmp_path / "answers.npy", list[float]()
    keep_answers(
        path, lambda images: teacher(images)[:2], photos, recipe, autocast_for(recipe, CPU), CPU, done.append
    )
    answers = KeptAnswers(path, 24, recipe, CPU)
    chosen, views = drawn(recipe, 24)
    said = answers.answer(
        torch.empty(0), chosen, answers.seen(chosen, views, np.random.default_rng(0)), slice(0, 12)
    )
    assert said.logits is None
    assert answers.sample().logits is None
    assert said.features.shape == (12, 9, 3)  # the grid of 48 pixels, the largest size
    assert done[-1] == 1


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:1000], lambda data: b"x" * 100])
def test_damaged_answers_are_named(tmp_path: Path, spoil: Callable[..., Any]) -> None:
    recipe, photos = tiny_recipe(tmp_path, *CHANGES), store(24)
    path = tmp_path / "answers.npy"
    keep_answers(path, teacher, photos, recipe, autocast_for(recipe, CPU), CPU)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(VecaError, match=r"answers\.npy cannot be read"):
        KeptAnswers(path, 24, recipe, CPU)


def test_answers_of_another_set_are_refused(tmp_path: Path) -> None:
    recipe, photos = tiny_recipe(tmp_path, *CHANGES), store(24)
    path = tmp_path / "answers.npy"
    keep_answers(path, teacher, photos, recipe, autocast_for(recipe, CPU), CPU)
    with pytest.raises(VecaError, match="belongs to other photos or another recipe"):
        KeptAnswers(path, 23, recipe, CPU)


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    recipe, photos = tiny_recipe(tmp_path, *CHANGES), store(24)

    def failing(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise RuntimeError("no battery")

    with pytest.raises(VecaError, match="no battery"):
        keep_answers(tmp_path / "answers.npy", failing, photos, recipe, autocast_for(recipe, CPU), CPU)
    with pytest.raises(VecaError, match="cannot be written"):
        keep_answers(tmp_path / "none" / "a.npy", teacher, photos, recipe, autocast_for(recipe, CPU), CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_crops_are_rendered_as_they_were_kept(kept: tuple[Recipe, PhotoStore, KeptAnswers]) -> None:
    recipe, photos, answers = kept
    boxes = kept_boxes(len(photos), recipe)
    said = asked(crop(photos.pixels[:5], boxes[:5, 1], 32))
    torch.testing.assert_close(
        torch.from_numpy(answers._rows["embedding"][:5, 1].astype(np.float32)), said.embedding, atol=2e-3, rtol=2e-3
    )
