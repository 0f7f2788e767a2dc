"""How many steps a run has time for. No torch here.

With a time limit the number of steps is planned: before the first one, a step of each phase and image size is
timed, and the schedule, its learning rates and phases, is stretched or shortened so that it ends within the limit,
with the validation after it. The epochs of the recipe do not count then. A plan that turns out to be off, because
the machine has become slower or faster, is replaced by another number of steps; the share of the schedule that is
done changes with it. So a step is a function of the recipe, its number, the weights, and how many steps are planned
at that time. Plans are kept in the run's state: a run that was interrupted goes on by the same plan, and the time
that it had spent on training counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from statistics import fmean, median
from time import monotonic

from veca_edge.training.schedule import Schedule, StepPlan
from veca_edge.training.tables import setting

MARGIN = 0.03  # of the limit: what is planned to be left over
LATE = 0.01  # of the limit, and
OFF = 0.05  # of the time that is left: by how much the end may be off before there is another plan
CHECKS = 50  # at least so many times in a run
RECENT = 5  # checks whose median says how fast the machine is
TRIALS = 2  # steps that are timed, after one to warm up; the quickest counts
LONG = 0.01  # of the limit: a step that took so long is not timed again
MOST = 2**40  # steps


@dataclass(frozen=True)
class Plan:
    """What a run with a time limit goes by; `seconds` alone before its steps were timed."""

    minutes: float = setting(0.0, "the limit that was asked for")
    seconds: float = setting(0.0, "of the limit, without what was spent before training")
    costs: tuple[tuple[float, ...], ...] = setting((), "seconds of a step, by phase and image size")
    validation: float = setting(0.0, "seconds of a validation")
    steps: tuple[int, ...] = setting((), "steps in all: the first plan and those that replaced it", 1)
    factors: tuple[float, ...] = setting((), "how much longer the latest steps took than by their costs")

    def left(self, schedule: Schedule, step: int, steps: int) -> float:
        """Seconds expected from step `step` to the end, if there are `steps` in all."""
        ends = pairwise((0.0, *schedule.ends))
        spans = (max(0.0, high * steps - max(low * steps, step)) for low, high in ends)
        taken = sum(span * fmean(costs) for span, costs in zip(spans, self.costs, strict=True))
        return self._factor * taken + self.validation * schedule.validations(step, steps)

    def paced(self, expected: float, took: float) -> Plan:
        """With the time that some steps were expected to take, by `costs` alone, and what they took."""
        return replace(self, factors=(*self.factors, took / expected)[-RECENT:]) if expected else self

    def fitting(self, schedule: Schedule, step: int, spent: float) -> int:
        """How many steps there should be in all: as many as are planned unless the end would be off.

        Args:
            schedule: of the run.
            step: steps taken.
            spent: seconds spent on training.
        """
        target = (1 - MARGIN) * self.seconds - spent
        if self.steps:
            left = self.left(schedule, step, self.steps[-1])
            if abs(left - target) <= LATE * self.seconds + OFF * left:
                return self.steps[-1]
        return _most(lambda steps: self.left(schedule, step, steps) <= target, step + 1)

    @property
    def _factor(self) -> float:
        return median(self.factors) if self.factors else 1.0


def _most(fits: Callable[[int], bool], least: int) -> int:
    """The largest number that fits, at least `least`; what is larger than one that does not fit does not fit."""
    low, high = least, 2 * least
    while fits(high) and high < MOST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def step_costs(
    schedule: Schedule, take: Callable[[StepPlan], object], limit: float, over: Callable[[], bool]
) -> tuple[tuple[float, ...], ...] | None:
    """Time a step of each phase and image size, at a budget of middle size.

    Args:
        schedule: of the run.
        take: takes a step, and waits until it is done.
        limit: seconds that the run may take.
        over: called before every step: whether to stop.

    Returns:
        Seconds by phase and image size; None if it was stopped.
    """
    shapes = schedule.shapes()
    costs = dict[StepPlan, float]()
    for shape in dict.fromkeys(chain(*shapes)):
        times = list[float]()
        while not times or (len(times) <= TRIALS and sum(times) < LONG * limit):
            if over():
                return None
            clock = Clock()
            take(shape)
            times.append(clock())
        costs[shape] = min(times[1:] or times)
    return tuple(tuple(costs[shape] for shape in row) for row in shapes)


class Clock:
    """Seconds since it was made, without those in which it was held."""

    def __init__(self) -> None:
        self._began = monotonic()

    def __call__(self) -> float:
        return monotonic() - self._began

    @contextmanager
    def held(self) -> Iterator[None]:
        """A context whose time does not count."""
        began = monotonic()
        yield
        self._began += monotonic() - began
