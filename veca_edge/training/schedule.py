"""What each step does, a function of the recipe, the step's number and the number of all steps. No torch here.

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
    """All steps of a training run.

    Attributes:
        steps: how many; those of the recipe's epochs, until somebody plans another number.
        ends: where each phase ends, as a share of all steps.
    """

    def __init__(self, recipe: Recipe, config: VecaConfig, photos: int) -> None:
        """Args: photos: how many there are to train on."""
        self._recipe = recipe
        self._config = config
        self._photos = photos
        self.steps = max(1, math.ceil(recipe.epochs * photos / recipe.batch_size))
        ends = list(accumulate(phase.share for phase in recipe.phases))
        self.ends = tuple(end / ends[-1] for end in ends)
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def draws(self, kind: int, number: int) -> np.random.Generator:
        """The random numbers of one kind of draw at one step (or epoch)."""
        return draws(self._recipe.seed, kind, number)

    def at(self, step: int) -> StepPlan:
        """What step `step` (from 0) does."""
        phase = self._recipe.phases[self.phase(step)]
        size = phase.sizes[_draw([1.0] * len(phase.sizes), self.draws(SIZE, step))]
        budgets, weights = self._budgets(phase)
        cores = budgets[_draw(weights, self.draws(BUDGET, step))]
        settings = self._recipe.optimizer
        lr = settings.lr * rate_at(step, self.steps, settings.warmup, settings.final_lr)
        return StepPlan(size, cores, phase.patches, phase.compile, lr)

    def phase(self, step: int) -> int:
        """The index of the phase that a step belongs to."""
        return min(bisect_right(self.ends, step / self.steps), len(self.ends) - 1)

    def shapes(self) -> list[list[StepPlan]]:
        """For every phase a step of each image size, at a budget of middle size; they change no weights."""
        return [[self._typical(phase, size) for size in phase.sizes] for phase in self._recipe.phases]

    def _typical(self, phase: Phase, size: int) -> StepPlan:
        budgets, weights = self._budgets(phase)
        mean = np.average(budgets, weights=weights)
        return StepPlan(size, min(budgets, key=lambda cores: abs(cores - mean)), phase.patches, phase.compile, 0.0)

    def _budgets(self, phase: Phase) -> tuple[tuple[int, ...], list[float]]:
        """The budgets of a phase, and the weights with which they are drawn."""
        weights = dict(zip(self._config.budgets, self._config.budget_weights, strict=True))
        budgets = phase.cores or self._config.budgets
        return budgets, [weights.get(budget, 1.0) for budget in budgets]

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
        return step + 1 == self.steps or self._turns(step + 1) > self._turns(step)

    def validations(self, step: int, steps: int) -> int:
        """How many validations come after step `step`, if there are `steps` in all."""
        return 1 + max(0, self._turns(steps - 1) - self._turns(step))

    def _turns(self, step: int) -> int:
        """How many validations the epochs before a step call for."""
        return int(self.epoch_at(step) / self._recipe.validation.every_epochs)

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:
            self._order = (epoch, self.draws(ORDER, epoch).permutation(self._photos))
        return self._order[1]


def _draw(weights: Sequence[float], generator: np.random.Generator) -> int:
    """An index, each with a chance proportional to its weight."""
    ends = list(accumulate(weights))
    index = bisect_right(ends, generator.random() * ends[-1])
    return min(index, len(ends) - 1)
