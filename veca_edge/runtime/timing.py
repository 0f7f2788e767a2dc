"""How long each way of running takes: the model on some frames of the packaged clip.

A slow device could not time every way within the seconds that someone waits: there the core counts, and then the
patch budgets, between the least and the most are interpolated. Cost is close to linear in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.governor.quality import LatencyRow, Way
from veca_edge.runtime.measuring import latency
from veca_edge.runtime.result import Result, computed_patches
from veca_edge.runtime.streaming.change import ChangeSettings

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

SECONDS = 12.0  # of computing, shared by all ways, in two passes where they fit
LONGEST = 14.0  # seconds of computing that a slow device may need
FEWEST, MOST = 10, 32  # timed frames per way of running
WARM_UP = 2  # frames that are not timed: the first call of a method loads it, the first of a stream is a keyframe
START = 12  # frame of the packaged clip from which a hand moves in it
FRAMES = MOST + WARM_UP  # of the clip, from there
STREAMED = 0.5  # of a full frame's time, what a streamed one takes on this clip, roughly

Run = Callable[[Image], Result]
Opener = Callable[[Way], Run]


def opener(model: Model) -> Opener:
    """Opens a way of running afresh: what it returns is called with one frame after another."""

    def open_way(way: Way) -> Run:
        cores, size, budget = way
        if budget is None:
            return lambda frame: model(frame, cores=cores, image_size=size)
        return model.stream(cores, size, ChangeSettings(patch_budget=budget)).update

    return open_way


def time_ways(
    open_way: Opener,
    ways: Sequence[Way],
    frames: Sequence[Image],
    advance: Callable[[float], None] = lambda _: None,
) -> tuple[list[LatencyRow], int]:
    """Time every way of running over some frames of a clip.

    Args:
        open_way: see `opener`.
        ways: (cores, image size, patch budget).
        frames: uint8 (H, W, 3), RGB, at least `WARM_UP + FEWEST`.
        advance: called with how much is done, 0..1.

    Returns:
        A row per way, and how many of them were timed; the others are interpolated.
    """
    timed = thinned(ways, _pace(open_way, ways, frames[0]))
    # Once for nothing: the first frames of all pay for clocks, caches and plans, and would pass for the way's own.
    _time_way(open_way(timed[0]), frames, 0.0)
    found, left = list[_Times](), SECONDS / 2
    for done, way in enumerate(timed):
        found.append(_time_way(open_way(way), frames, left / (len(timed) - done)))
        left = max(0.0, left - found[-1].spent)
        advance((done + 1) / len(timed) / 2)
    if 2 * sum(times.spent for times in found) <= SECONDS:
        for done, way in enumerate(timed):
            found[done] = found[done].least(_time_way(open_way(way), frames[: found[done].frames], math.inf))
            advance((1 + (done + 1) / len(timed)) / 2)
    else:
        advance(1.0)
    rows = [latency_row(way, times.seconds, times.computed) for way, times in zip(timed, found, strict=True)]
    return filled(rows, ways), len(timed)


@dataclass(frozen=True)
class _Times:
    """Of a way's timed frames, seconds and computed patches; and the seconds of all frames together."""

    seconds: tuple[float, ...]
    computed: tuple[int, ...]
    spent: float

    @property
    def frames(self) -> int:
        return WARM_UP + len(self.seconds)

    def least(self, other: _Times) -> _Times:
        """Each frame's time in the better of two passes: what disturbs one of them is no property of the way."""
        return replace(self, seconds=tuple(map(min, self.seconds, other.seconds)))


def _pace(open_way: Opener, ways: Sequence[Way], frame: Image) -> float:
    """Seconds of a full frame in the dearest way; the first call loads the method."""
    dearest = max(ways, key=lambda way: (way[1], way[0]))
    return min(open_way(dearest)(frame).latency for _ in range(3))


def _time_way(run: Run, frames: Sequence[Image], seconds: float) -> _Times:
    """A way on as many frames as fit into these seconds, within `FEWEST` and `MOST`."""
    times, computed, spent = list[float](), list[int](), 0.0
    for index, frame in enumerate(frames[: WARM_UP + MOST]):
        result = run(frame)
        spent += result.latency
        if index >= WARM_UP:
            times.append(result.latency)
            computed.append(computed_patches(result))
        if len(times) >= FEWEST and spent >= seconds:
            break
    return _Times(tuple(times), tuple(computed), spent)


def latency_row(way: Way, times: Sequence[float], computed: Sequence[int]) -> LatencyRow:
    """A way's row, from the seconds and the computed patches of each frame."""
    seconds, patches, found = np.asarray(times), np.asarray(computed), latency(times)
    measured = (found.p50 / 1e3, found.p95 / 1e3, float(seconds.mean()), float(patches.mean()))
    return LatencyRow(*way, *measured, *_line(seconds, patches))


def _line(times: NDArray[np.float64], computed: NDArray[np.int_]) -> tuple[float, float]:
    """Seconds without any patch, and per patch: least squares over frames that computed some, but not all."""
    partial = (computed > 0) & (computed < computed.max())
    if partial.sum() < FEWEST // 2 or np.ptp(computed[partial]) == 0:
        return float(np.median(times)), 0.0
    slope, base = np.polyfit(computed[partial], times[partial], 1)
    return (float(base), float(slope)) if slope > 0 and base > 0 else (float(np.median(times[partial])), 0.0)


def thinned(ways: Sequence[Way], pace: float) -> list[Way]:
    """The ways to time so that it takes `LONGEST` seconds at most, if it can.

    Args:
        ways: all of them.
        pace: seconds of a full frame with the most cores at the largest size.
    """
    largest = max(size for _, size, _ in ways)

    def seconds(some: Sequence[Way]) -> float:
        shares = ((size / largest) ** 2 * (1 if budget is None else STREAMED) for _, size, budget in some)
        return pace * (WARM_UP + FEWEST) * sum(shares)

    cores = _ends([way[0] for way in ways])
    outer = [way for way in ways if way[0] in cores]
    budgets = {
        size: _ends([way[2] for way in ways if way[1] == size and way[2] is not None]) for _, size, _ in ways
    }
    outermost = [way for way in outer if way[2] is None or way[2] in budgets[way[1]]]
    return next((some for some in (list(ways), outer) if seconds(some) <= LONGEST), outermost)


def _ends(values: Sequence[int]) -> set[int]:
    return {min(values), max(values)} if values else set()


def filled(rows: Sequence[LatencyRow], ways: Sequence[Way]) -> list[LatencyRow]:
    """Rows for all ways: those between timed ones are interpolated, in cores first and then in patch budgets."""
    known = {row.way: row for row in rows}
    for axis in (0, 2):
        for way in ways:
            if way not in known and (ends := _around(list(known.values()), way, axis)):
                known[way] = _between(*ends, way, axis)
    return [known[way] for way in ways]


def _around(rows: Sequence[LatencyRow], way: Way, axis: int) -> tuple[LatencyRow, LatencyRow] | None:
    """The nearest rows below and above a way that differ from it in this dial only."""
    place = way[axis]
    line = {row.way[axis]: row for row in rows if all(row.way[i] == way[i] for i in range(3) if i != axis)}
    below = [value for value in line if value is not None and place is not None and value < place]
    above = [value for value in line if value is not None and place is not None and value > place]
    return (line[max(below)], line[min(above)]) if below and above else None


def _between(low: LatencyRow, high: LatencyRow, way: Way, axis: int) -> LatencyRow:
    start, end, place = low.way[axis] or 0, high.way[axis] or 0, way[axis] or 0
    share = (place - start) / (end - start)
    values = (a + share * (b - a) for a, b in zip(astuple(low)[3:], astuple(high)[3:], strict=True))
    return LatencyRow(*way, *values)
