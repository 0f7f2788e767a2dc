"""The operating points that the governor chooses among, and the front of those worth choosing."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from veca_edge.errors import VecaError, shown
from veca_edge.governor.quality import LatencyRow, LatencyTable, QualityTable, RunConfiguration
from veca_edge.numbers import finite

# Frame rates that a camera's frames can be thinned to without judder: every one, every second, third, sixth.
DIVISORS = (1, 2, 3, 6)
# How fast perceived quality falls with the frame rate: an inverted falling exponential fits viewers' scores (Ou,
# Ma, Liu and Wang, IEEE Transactions on Circuits and Systems for Video Technology 21(3), 2011), with one constant
# that depends on the content. Our choice of 6 means: half the rate costs 5 %, a third 13 %, a sixth 37 %.
SMOOTHNESS = 6.0
# Two points this close in quality are the same to a user: then what is given up first decides. First cores, the
# dial that leaves the results' shape, pace and memory alone; then patches, which leave shape and pace; then rate,
# which leaves the shape; pixels last.
INDIFFERENCE = 0.01
# A step down that saves less energy than this, as a share of the point above, is not worth a keyframe and a line of
# explanation: the latencies of neighbouring points are not measured more exactly, so it may save nothing at all.
SAVING = 0.03
# Ladders are made for devices slower by powers of this: finer than frame times can be told apart.
LATENESS = 1.05
SLOWEST = 48  # ten times; nothing can be said about a slower device
# Rounding must not hide the point that lies exactly at the ceiling.
ROUNDING = 1e-9
# Less quality than this is not worth a switch, which costs a keyframe.
WORTH = 0.002


@dataclass(frozen=True)
class OperatingPoint:
    """A run configuration at one frame rate.

    Attributes:
        cores: active cores.
        image_size: pixels.
        patch_budget: most patches computed per frame, or None for all of them every time (nothing remembered).
        rate: frames per second.
        quality: 0..1; 1 is the best run configuration at the target rate.
        latency: median seconds of a frame, unthrottled.
        slow: seconds that one frame in twenty exceeds (keyframes), unthrottled.
        power: watts, or, where they cannot be measured, the share of time that the processor is busy (mean seconds
            of a frame times rate). It is one unit for all points of a front: only ratios are used.
        patches: computed per frame while that was measured, mean.
        base, patch_time: a frame in which n patches are computed takes `base + patch_time * n` seconds; both 0 if
            unknown.
    """

    cores: int
    image_size: int
    patch_budget: int | None
    rate: float
    quality: float
    latency: float
    slow: float
    power: float
    patches: float = 0.0
    base: float = 0.0
    patch_time: float = 0.0

    @property
    def configuration(self) -> RunConfiguration:
        """What is computed of each frame."""
        return RunConfiguration(self.cores, self.image_size, self.patch_budget)

    def expected(self, computed: int | None = None) -> float:
        """Seconds that a frame should take in which `computed` patches were computed (None: not known)."""
        patches = 0.0 if computed is None else finite(computed, 0)
        if patches is None:
            raise VecaError(f"{shown(computed)} computed patches: use a number, 0 or more, or None")
        return self.latency if computed is None or not self.base else self.base + self.patch_time * patches

    @property
    def fps(self) -> str:
        """The rate for people: "30", "29.8"."""
        return f"{round(self.rate, 1):g}"

    def __str__(self) -> str:
        patches = "all" if self.patch_budget is None else str(self.patch_budget)
        return f"C {self.cores}, {self.image_size} px, {patches} patches, {self.fps} fps"


@dataclass(frozen=True)
class Ladder:
    """Points of a front by ascending power and quality.

    Attributes:
        indices: into the front's points.
        relative: their power as a share of the front's largest, 0..1.
    """

    indices: tuple[int, ...]
    relative: tuple[float, ...]

    def best(self, limit: float) -> int:
        """Index of the best point with at most this share of the power; 0, the least of all, if there is none."""
        position = bisect_right(self.relative, limit + ROUNDING) - 1
        return self.indices[position] if position >= 0 else 0


@dataclass(frozen=True)
class Front:
    """The points worth choosing, whatever the device's speed.

    Attributes:
        points: by ascending power.
        relative: their power as a share of the last one's, 0..1.
        ladders: the k-th is the Pareto front of the points that keep their frame rate on a device that is slower by
            `LATENESS ** k`. Fewer points do on a slow device, so other ones come to the front.
    """

    points: tuple[OperatingPoint, ...]
    relative: tuple[float, ...]
    ladders: tuple[Ladder, ...]

    @classmethod
    def of(
        cls, points: Iterable[OperatingPoint], indifference: float = INDIFFERENCE, saving: float = SAVING
    ) -> Front:
        """The Pareto fronts of power and quality: among equals cores are given up first, small steps are skipped.

        Args:
            points: any, in any order.
            indifference: difference in quality that does not count, 0 for none.
            saving: share of the power above that a step down must save, 0 for any.

        Raises:
            VecaError: no points, or one with a number that is impossible.
        """
        given = list(points)
        for point in given:
            _check(point)
        if not given:
            raise VecaError("there are no operating points to choose among")
        least = min(given, key=lambda point: (point.power, -point.quality))
        chosen = [
            _worthwhile(_cores_first(_pareto(_in_time(given, LATENESS**k)), indifference), saving)
            for k in range(SLOWEST + 1)
        ]
        kept = sorted({least, *itertools.chain(*chosen)}, key=lambda p: (p.power, p.quality, str(p)))
        kept.remove(least)
        kept.insert(0, least)
        relative = tuple(point.power / kept[-1].power for point in kept)
        index = {point: place for place, point in enumerate(kept)}
        ladders = [tuple(index[point] for point in ladder) for ladder in chosen]
        return cls(tuple(kept), relative, tuple(Ladder(i, tuple(relative[j] for j in i)) for i in ladders))

    def ladder(self, slower: float) -> Ladder:
        """The points that keep their frame rate on a device slower by this factor; empty if none do."""
        if slower > LATENESS**SLOWEST:
            return Ladder((), ())
        return (
            self.ladders[max(0, math.ceil(math.log(slower) / math.log(LATENESS) - ROUNDING))]
            if slower > 1
            else self.ladders[0]
        )


def smoothness(share: float) -> float:
    """What a frame rate of this share (0..1) of the target is worth to a viewer, 0..1."""
    return (1 - math.exp(-SMOOTHNESS * share)) / (1 - math.exp(-SMOOTHNESS))


def operating_points(
    quality: QualityTable, latency: LatencyTable, target_rate: float, divisors: Sequence[int] = DIVISORS
) -> list[OperatingPoint]:
    """Points for every run configuration that both tables hold, at the target rate and the ones below it.

    Quality is the configuration's fidelity, times what a result of this rate is worth on average until the next one
    comes (`Freshness`, as a share of the target rate's), times `smoothness`.

    Args:
        quality: from the model file.
        latency: of this device.
        target_rate: frames per second that the app wants, above 0.
        divisors: the target rate is divided by these.

    Raises:
        VecaError: the tables have no configuration in common.
    """
    if not finite(target_rate, 0, 1000):
        raise VecaError(f"a target of {shown(target_rate)} frames per second: use more than 0, up to 1000")
    timings = {row.configuration: row for row in latency.rows}
    fresh = quality.freshness
    worth = {d: fresh.at(target_rate / d) / fresh.at(target_rate) * smoothness(1 / d) for d in divisors}
    points = [
        _point(timings[row.configuration], row.fidelity * worth[d], target_rate / d)
        for row in quality.rows
        if row.configuration in timings
        for d in divisors
    ]
    if not points:
        raise VecaError("the quality table and the latency table have no operating point in common")
    return points


def _point(timing: LatencyRow, quality: float, rate: float) -> OperatingPoint:
    slow, power = max(timing.p50, timing.p95), timing.mean * rate
    line = (timing.computed, timing.base, timing.patch_time)
    return OperatingPoint(*timing.configuration, rate, quality, timing.p50, slow, power, *line)


def _check(point: OperatingPoint) -> None:
    if not isinstance(point, OperatingPoint):
        raise VecaError(f"cannot choose {shown(point)}: use OperatingPoint(…)")
    for name in ("rate", "latency", "slow", "power"):
        value = getattr(point, name)
        if not finite(value, 0):
            raise VecaError(f"operating point with {name} {shown(value)}: use a finite number above 0")
    if finite(point.quality) is None:
        raise VecaError(f"operating point with quality {shown(point.quality)}: use a finite number")


def _in_time(points: Iterable[OperatingPoint], slower: float) -> list[OperatingPoint]:
    """Those that keep their frame rate on a device slower by this factor."""
    return [point for point in points if point.slow * point.rate * slower <= 1]


def _pareto(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """Points that no other one beats in both power and quality, ascending."""
    front: list[OperatingPoint] = []
    for point in sorted(points, key=lambda point: (point.power, -point.quality, -point.cores)):
        if not front or point.quality > front[-1].quality:
            front.append(point)
    return front


def _cores_first(front: Sequence[OperatingPoint], indifference: float) -> list[OperatingPoint]:
    """For each point, the one within `indifference` below it that keeps size, rate and patches; those that remain.

    As the front ascends in quality as well as in power, the choices ascend too: more power is never worse.
    """
    choices = (
        max((point for point in front[: index + 1] if point.quality >= best.quality - indifference), key=_kept)
        for index, best in enumerate(front)
    )
    return list(dict.fromkeys(choices))


def _kept(point: OperatingPoint) -> tuple[float, ...]:
    """What is kept longest comes first."""
    budget = math.inf if point.patch_budget is None else point.patch_budget
    return point.image_size, point.rate, budget, point.quality


def _worthwhile(ladder: Sequence[OperatingPoint], saving: float) -> list[OperatingPoint]:
    """Without steps down that save too little, and then without steps up that add too little.

    The best and the least stay in any case.
    """
    saved = list(ladder[-1:])
    for point in reversed(ladder[:-1]):
        if point is ladder[0] or point.power <= (1 - saving) * saved[-1].power:
            saved.append(point)
    kept = saved[-1:]
    for point in saved[-2::-1]:
        if point is saved[0] or point.quality >= kept[-1].quality + WORTH:
            kept.append(point)
    return kept
