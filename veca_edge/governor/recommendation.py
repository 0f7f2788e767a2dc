"""One operating point for an app that wants a frame rate, and what a little less or more would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veca_edge.errors import VecaError
from veca_edge.governor.points import INDIFFERENCE, Front, OperatingPoint

NEIGHBOURS = 2  # on the cheaper side


@dataclass(frozen=True)
class Recommendation:
    """What to use at one frame rate on a cool, idle device.

    Attributes:
        point: the cheapest one whose quality is within 0.01 of the best that keeps the rate, 19 frames in 20; None
            if no point keeps it.
        cheaper: at most two, the nearest first.
        better: the next in quality, which may be too slow; None if nothing is better.
    """

    point: OperatingPoint | None
    cheaper: tuple[OperatingPoint, ...]
    better: OperatingPoint | None


def recommend(points: Sequence[OperatingPoint]) -> Recommendation:
    """The recommendation among points of one frame rate.

    Args:
        points: of one rate, see `operating_points` with `divisors=(1,)`.

    Raises:
        VecaError: no points, or points of several rates.
    """
    if len({point.rate for point in points}) > 1:
        raise VecaError("points of several frame rates: recommend for one of them at a time")
    front = Front.of(points, indifference=0, saving=0)
    fast = [front.points[index] for index in front.ladders[0].indices]
    if not fast:
        return Recommendation(None, (), min(points, key=lambda point: point.slow))
    place = next(index for index, point in enumerate(fast) if point.quality >= fast[-1].quality - INDIFFERENCE)
    chosen = fast[place]
    above = [point for point in points if point.quality > fast[-1].quality + INDIFFERENCE]
    better = fast[place + 1] if place + 1 < len(fast) else min(above, key=lambda point: point.power, default=None)
    return Recommendation(chosen, tuple(fast[max(0, place - NEIGHBOURS) : place][::-1]), better)
