from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.training_sets import ALONE, store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.training.answers import KeptAnswers, LiveAnswers, keep_answers, kept_crops
from veca_edge.training.teachers import Teacher, TeacherOutput, ask
from veca_edge.training.views import Views, crop, draw_views, normalise, render
from veca_edge.training.world import autocast_for

CPU, WHOLE = ALONE.device, slice(None)
PHOTOS = store(24)
FIXED = ("teacher.views=3", "augment.brightness=0", "augment.contrast=0", "augment.saturation=0")
ONE_SIZE = "phases=[{sizes=[32]}]"


def teacher(images: Tensor) -> tuple[Tensor, ...]:
    """Means of 8 x 8 pixels, linear in the image; a mirrored image has the mirrored ones."""
    cells = torch.nn.functional.avg_pool2d(images, 8)
    pooled = cells.mean((2, 3))
    return pooled, cells.flatten(2).transpose(1, 2), pooled


class Kept:
    """Answers in a file, and what they were computed from."""

    def __init__(self, folder: Path, *changes: str, teacher: Teacher = teacher) -> None:
        self.path, self.recipe = folder / "answers.npy", tiny_recipe(*FIXED, *changes)
        self.autocast, self.shares = autocast_for(self.recipe, CPU), list[float]()
        keep_answers(self.path, teacher, PHOTOS, self.recipe, self.autocast, CPU, self.shares.append)
        self.answers = KeptAnswers(self.path, 24, self.recipe, CPU)

    def batch(self, seed: int = 0) -> tuple[Tensor, Views]:
        """(chosen, views) of a batch of 12; there is an answer to every view."""
        generator = np.random.default_rng(seed)
        chosen = torch.from_numpy(generator.permutation(24)[:12])
        views = draw_views(12, self.recipe.augment, generator)
        return chosen, self.answers.seen(chosen, views, np.random.default_rng(1))

    def answer(self, chosen: Tensor, views: Views, part: slice = WHOLE) -> TeacherOutput:
        return self.answers.answer(torch.empty(0), chosen, views, part)


def asked(chosen: Tensor, views: Views, part: slice = WHOLE) -> TeacherOutput:
    """What the teacher says of the very images."""
    return ask(teacher, normalise(render(PHOTOS, chosen, views, part, 32, CPU)[0]))


def close(a: Tensor | None, b: Tensor | None) -> None:
    torch.testing.assert_close(a, b, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("degrees", [0, 40])
def test_a_kept_answer_is_what_the_teacher_says_of_the_view(degrees: int, tmp_path: Path) -> None:
    kept = Kept(tmp_path, "augment.mixup=0", "augment.cutmix=0", ONE_SIZE, f"augment.rotate={degrees}")
    chosen, views = kept.batch()
    assert (np.abs(views.angles) > 0).all() == (degrees > 0)
    assert 0 < (views.boxes[:, 0] > views.boxes[:, 2]).sum() < 12  # mirrored
    assert set(views.picks) == {0, 1, 2}
    said, want = (ask_for(chosen, views, slice(2, 11)) for ask_for in (kept.answer, asked))
    # The grid of 2 x 2 patches of a 32-pixel image is the mean of the teacher's 4 x 4.
    coarse = want.features.view(9, 2, 2, 2, 2, 3).mean((2, 4)).flatten(1, 2)
    torch.testing.assert_close(said.features, coarse, atol=0.15, rtol=0)  # its filter is a triangle, not a box
    assert torch.corrcoef(torch.stack((said.features.flatten(), coarse.flatten())))[0, 1] > 0.99
    close(said.embedding, want.embedding)
    close(said.logits, want.logits)


def test_mixed_views_get_mixed_answers(tmp_path: Path) -> None:
    kept = Kept(tmp_path, ONE_SIZE)
    chosen, views = kept.batch(seed=3)
    mixed = views.shares < 1
    assert 0 < mixed.sum() < 12
    said = kept.answer(chosen, views)
    # This teacher is linear: what it says of a blend of images is the blend of what it says of both.
    plain = ~torch.from_numpy(mixed & views.cut)
    assert 0 < int(plain.sum()) < 12
    close(said.embedding[plain], asked(chosen, views).embedding[plain])
    assert said.logits is not None
    close(said.logits.exp().sum(-1)[mixed], torch.ones(int(mixed.sum())))
    assert said.features.shape == (12, 4, 3)


def test_draws_are_repeated_and_crops_differ(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    (_, first), (_, again) = kept.batch(), kept.batch()
    for name in ("boxes", "picks", "shares", "colours"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    boxes, angles = kept_crops(24, kept.recipe)
    assert not angles.any()
    assert boxes.shape == (24, 3, 4)
    assert len(np.unique(boxes.reshape(-1, 4), axis=0)) == 72
    assert np.array_equal(boxes, kept_crops(24, kept.recipe)[0])
    rows = np.load(kept.path)["embedding"][:5, 1].astype(np.float32)
    close(torch.from_numpy(rows), ask(teacher, normalise(crop(PHOTOS.pixels[:5], boxes[:5, 1], 48))).embedding)


def test_without_mirroring_no_view_is_mirrored(tmp_path: Path) -> None:
    boxes = Kept(tmp_path, "augment.mirror=false").batch()[1].boxes
    assert (boxes[:, 0] < boxes[:, 2]).all()


def test_statistics_are_those_of_a_teacher_that_is_asked(tmp_path: Path) -> None:
    kept = Kept(tmp_path, ONE_SIZE)
    live = LiveAnswers(teacher, PHOTOS, kept.recipe, kept.autocast, CPU).sample()
    sample = kept.answers.sample()
    assert live.logits is not None
    assert sample.logits is not None
    assert (len(live.embedding), len(sample.embedding)) == (24, 256)
    assert (live.logits.shape, sample.logits.shape) == ((24, 3), (256, 3))
    torch.testing.assert_close(sample.embedding.mean(0), live.embedding.mean(0), atol=0.2, rtol=0)


def test_a_teacher_without_logits(tmp_path: Path) -> None:
    kept = Kept(tmp_path, teacher=lambda images: teacher(images)[:2])
    said = kept.answer(*kept.batch())
    assert said.logits is None
    assert kept.answers.sample().logits is None
    assert said.features.shape == (12, 9, 3)  # the grid of 48 pixels, the largest size
    assert kept.shares[-1] == 1


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:1000], lambda data: b"x" * 100])
def test_damaged_answers_and_those_of_other_photos_are_refused(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    kept = Kept(tmp_path)
    with pytest.raises(VecaError, match="belongs to other photos or another recipe"):
        KeptAnswers(kept.path, 23, kept.recipe, CPU)
    kept.path.write_bytes(spoil(kept.path.read_bytes()))
    with pytest.raises(VecaError, match=r"answers\.npy cannot be read"):
        KeptAnswers(kept.path, 24, kept.recipe, CPU)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    def failing(images: Tensor) -> tuple[Tensor, ...]:
        raise RuntimeError("no battery")

    with pytest.raises(VecaError, match="no battery"):
        Kept(tmp_path, teacher=failing)
    with pytest.raises(VecaError, match="there is no folder"):
        Kept(tmp_path / "none")
    assert not list(tmp_path.iterdir())
