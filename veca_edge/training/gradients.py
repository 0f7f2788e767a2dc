"""The gradients of a step: its views, their targets, and the losses, in pieces of a batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from veca_edge.model.checkpoint import Checkpoint
from veca_edge.photos.store import PhotoStore
from veca_edge.training.answers import Answers
from veca_edge.training.dense import DenseData
from veca_edge.training.learner import Learner
from veca_edge.training.losses import TERMS, total
from veca_edge.training.schedule import MASKS, PATCHES, PICKS, POSITIONS, VIEWS, Schedule, StepPlan
from veca_edge.training.settings import Recipe
from veca_edge.training.teachers import TeacherOutput, checked_labels
from veca_edge.training.views import Views, draw_views, mixed_labels, normalise, render
from veca_edge.training.world import World, autocast_for, hold_gradients

LOSSES = ("loss", *TERMS)  # the weighted sum, and what it is made of


@dataclass(frozen=True, eq=False)
class Task:
    """What to learn.

    Attributes:
        recipe: how to train.
        train: photos to learn from, with and without labels.
        val: photos to evaluate on, all with labels.
        labels: K names.
        teacher: a teacher's answers, or None without one.
        start: a checkpoint to start from, or None for new weights.
        masks: what a dense head learns along, or None.
    """

    recipe: Recipe
    train: PhotoStore
    val: PhotoStore
    labels: tuple[str, ...]
    teacher: Answers | None = None
    start: Checkpoint | None = None
    masks: DenseData | None = None


class Gradients:
    """Computes gradients of a learner, summed over a step's batch and averaged over all processes."""

    def __init__(self, task: Task, learner: Learner, schedule: Schedule, world: World) -> None:
        """Args: learner: whose gradients. schedule: of the steps. A VecaError if the batch cannot be divided."""
        self._task, self._learner, self._schedule, self._world = task, learner, schedule, world
        self._part = world.share(task.recipe.batch_size)
        self._autocast = autocast_for(task.recipe, world.device)
        self._compiles = any(phase.compile for phase in task.recipe.phases)
        self._model = world.parallel(torch.compile(learner) if self._compiles else learner)

    def __call__(self, step: int, plan: StepPlan) -> Tensor:
        """Compute those of a step in place of any before; returns its losses in the order of LOSSES."""
        with self._as_planned(plan):
            return self._world.mean(self._of_photos(step, plan) + self._of_masks(step, plan))

    def _as_planned(self, plan: StepPlan) -> AbstractContextManager[object]:
        """Run compiled or not. Without compiled phases the compiler, slow to import, is not touched."""
        if plan.compiled or not self._compiles:
            return nullcontext()
        eager: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return eager

    def _of_photos(self, step: int, plan: StepPlan) -> Tensor:
        recipe, schedule = self._task.recipe, self._schedule
        chosen = torch.from_numpy(schedule.photos_at(step)).to(self._task.train.pixels.device)
        views = draw_views(recipe.batch_size, recipe.augment, schedule.draws(VIEWS, step))
        if self._task.teacher is not None:
            views = self._task.teacher.seen(chosen, views, schedule.draws(PICKS, step))
        parts = self._micro_batches(plan.size)
        kept = self._kept_patches(step, plan)
        seeds = schedule.draws(POSITIONS, step).integers(2**62, size=len(parts))
        figures = torch.zeros(len(LOSSES), device=self._world.device)
        self._learner.zero_grad()
        for index, part in enumerate(parts):
            # The model shifts positions with torch's own generator: the same way in every process.
            torch.manual_seed(int(seeds[index]))
            images, shares = render(self._task.train, chosen, views, part, plan.size, self._world.device)
            labels = mixed_labels(self._task.train, chosen, views, part, shares, len(self._task.labels))
            more = index < len(parts) - 1 or self._task.masks is not None
            with hold_gradients(self._model, more), self._autocast():
                taught = self._taught(images, chosen, views, part)
                seen = None if kept is None else kept[part]
                terms = self._model(normalise(images), plan.cores, labels, taught, seen)
                loss = total(terms, recipe.loss)
                weight = (part.stop - part.start) / (self._part.stop - self._part.start)
                (weight * loss).backward()
            figures += weight * _figures({"loss": loss, **terms})
        return figures

    def _of_masks(self, step: int, plan: StepPlan) -> Tensor:
        """Add those of the dense head's loss."""
        recipe, masks = self._task.recipe, self._task.masks
        if masks is None:
            return torch.zeros(len(LOSSES), device=self._world.device)
        patch_size = self._learner.classifier.veca.config.patch_size
        generator, part = self._schedule.draws(MASKS, step), self._world.share(recipe.masks.batch_size)
        images, targets = masks.batch(part, patch_size, recipe.masks, recipe.augment, generator)
        images, targets = images.to(self._world.device), targets.to(self._world.device)
        with self._autocast():
            terms = self._model(normalise(images), plan.cores, None, None, None, targets)
            loss = recipe.loss.masks * terms["masks"]
            loss.backward()
        return _figures({"loss": loss, **terms})

    def _taught(self, images: Tensor, chosen: Tensor, views: Views, part: slice) -> TeacherOutput | None:
        if self._task.teacher is None:
            return None
        return checked_labels(self._task.teacher.answer(images, chosen, views, part), len(self._task.labels))

    def _kept_patches(self, step: int, plan: StepPlan) -> Tensor | None:
        """The patches of each view of the batch that the student sees: int64 (B, n), or None for all."""
        if plan.patches == 1:
            return None
        rows, columns = self._learner.classifier.veca.config.patch_grid(plan.size, plan.size)
        count = max(1, round(plan.patches * rows * columns))
        generator = self._schedule.draws(PATCHES, step)
        order = generator.random((self._task.recipe.batch_size, rows * columns)).argsort(1)
        return torch.from_numpy(np.sort(order[:, :count], 1)).to(self._world.device)

    def _micro_batches(self, size: int) -> list[slice]:
        """This process's part of the batch, in pieces of at most `micro_batch`."""
        most, smallest = self._task.recipe.micro_batch, self._task.recipe.train_sizes[0]
        start, stop = self._part.start, self._part.stop
        piece = max(1, int(most * (smallest / size) ** 2)) if most else stop - start
        return [slice(begin, min(begin + piece, stop)) for begin in range(start, stop, piece)]


def _figures(terms: dict[str, Tensor]) -> Tensor:
    """The terms of a loss in the order of LOSSES, 0 for those that there are not."""
    nothing = torch.zeros_like(terms["loss"])
    return torch.stack([terms.get(name, nothing).detach().float() for name in LOSSES])
