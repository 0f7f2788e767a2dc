"""What each step does, a function of the recipe and the step's number alone. No torch here.

Nothing is remembered from step to step, so a run that was interrupted takes the same steps as one that was not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from veca_edge.model.config import VecaConfig
from veca_edge.training.settings import Phase, Recipe

# One stream of random numbers for each kind of draw.
ORDER, BUDGET, SIZE, VIEWS, POSITIONS, SAMPLE, TUNING, KEPT, PICKS, PATCHES, MASKS = range(11)


def draws(seed: int, kind: int, number: int) -> np.random.Generator:
    """The random numbers of one kind of draw at one step (or epoch)."""
    return np.random.default_rng((seed, kind, number))


def rate_at(step: int, steps: int, warmup: float, final: float) -> float:
    """Learning rate relative to the highest: linear warm-up, then half a cosine down to `final`.

    Args:
        step: 0 .. steps - 1.
        steps: steps in all.
        warmup: share of the steps that are warm-up.
        final: the end of the cosine, relative to the highest.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class StepPlan:
    """One step.

    Attributes:
        size: side of the square images, pixels.
        cores: active cores.
        patches: share of each view's patches that are seen.
        compiled: whether the model runs compiled.
        lr: learning rate.
    """

    size: int
    cores: int
    patches: float
    compiled: bool
    lr: float


class Schedule:
    """All steps of a training run."""

    def __init__(self, recipe: Recipe, config: VecaConfig, photos: int) -> None:
        """Args: photos: how many there are to train on."""
        self._recipe = recipe
        self._config = config
        self._photos = photos
        self.steps = max(1, math.ceil(recipe.epochs * photos / recipe.batch_size))
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def draws(self, kind: int, number: int) -> np.random.Generator:
        """The random numbers of one kind of draw at one step (or epoch)."""
        return draws(self._recipe.seed, kind, number)

    def at(self, step: int) -> StepPlan:
        """What step `step` (from 0) does."""
        phase = self.phase(step)
        size = phase.sizes[_draw([1.0] * len(phase.sizes), self.draws(SIZE, step))]
        weights = dict(zip(self._config.budgets, self._config.budget_weights, strict=True))
        budgets = phase.cores or self._config.budgets
        cores = budgets[_draw([weights.get(budget, 1.0) for budget in budgets], self.draws(BUDGET, step))]
        settings = self._recipe.optimizer
        lr = settings.lr * rate_at(step, self.steps, settings.warmup, settings.final_lr)
        return StepPlan(size, cores, phase.patches, phase.compile, lr)

    def phase(self, step: int) -> Phase:
        """The phase that a step belongs to."""
        phases = self._recipe.phases
        ends = list(accumulate(phase.share for phase in phases))
        return phases[min(bisect_right(ends, step / self.steps * ends[-1]), len(phases) - 1)]

    def photos_at(self, step: int) -> NDArray[np.int64]:
        """Indices of the photos of a step, (batch_size,); every epoch has an order of its own."""
        positions = np.arange(step * self._recipe.batch_size, (step + 1) * self._recipe.batch_size)
        chosen = np.empty(len(positions), np.int64)
        epochs = positions // self._photos
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = self._epoch_order(int(epoch))[positions[here] % self._photos]
        return chosen

    def epoch_at(self, step: int) -> float:
        """Passes over the photos before a step."""
        return step * self._recipe.batch_size / self._photos

    def validates_after(self, step: int) -> bool:
        """Whether the model is validated after a step: every `every_epochs` epochs, and after the last step."""
        every = self._recipe.validation.every_epochs
        crossed = int(self.epoch_at(step + 1) / every) > int(self.epoch_at(step) / every)
        return crossed or step + 1 == self.steps

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:
            self._order = (epoch, self.draws(ORDER, epoch).permutation(self._photos))
        return self._order[1]


def _draw(weights: Sequence[float], generator: np.random.Generator) -> int:
    """An index, each with a chance proportional to its weight."""
    ends = list(accumulate(weights))
    index = bisect_right(ends, generator.random() * ends[-1])
    return min(index, len(ends) - 1)
