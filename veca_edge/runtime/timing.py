"""How long each run configuration takes: the model on some frames of the packaged clip.

A slow device could not time all of them within the seconds that someone waits: there the core counts, and then the
patch budgets, between the least and the most are interpolated. Cost is close to linear in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.governor.quality import JOULES, LatencyRow, RunConfiguration
from veca_edge.numbers import finite
from veca_edge.runtime.measuring import latency
from veca_edge.runtime.result import Result, computed_patches
from veca_edge.runtime.streaming.change import ChangeSettings

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

SECONDS = 12.0  # of computing, shared by all configurations, in two passes where they fit
LONGEST = 14.0  # seconds of computing that a slow device may need
FEWEST, MOST = 10, 32  # timed frames per configuration
WARM_UP = 2  # frames that are not timed: the first call of a method loads it, the first of a stream is a keyframe
START = 12  # frame of the packaged clip from which a hand moves in it
FRAMES = MOST + WARM_UP  # of the clip, from there
STREAMED = 0.5  # of a full frame's time, what a streamed one takes on this clip, roughly

Run = Callable[[Image], Result]
Opener = Callable[[RunConfiguration], Run]
Meter = Callable[[], float | None]  # joules since it was last asked, None if unknown


def opener(model: Model) -> Opener:
    """Opens a run configuration afresh: what it returns is called with one frame after another."""

    def open_run(configuration: RunConfiguration) -> Run:
        cores, size, budget = configuration
        if budget is None:
            return lambda frame: model(frame, cores=cores, image_size=size)
        return model.stream(cores, size, ChangeSettings(patch_budget=budget)).update

    return open_run


def time_configurations(
    open_run: Opener,
    configurations: Sequence[RunConfiguration],
    frames: Sequence[Image],
    advance: Callable[[float], None] = lambda _: None,
    meter: Meter = lambda: None,
) -> tuple[list[LatencyRow], int]:
    """Time every run configuration over some frames of a clip.

    Args:
        open_run: see `opener`.
        configurations: what to time.
        frames: uint8 (H, W, 3), RGB, at least `WARM_UP + FEWEST`.
        advance: called with how much is done, 0..1.
        meter: tells the device's energy.

    Returns:
        A row per configuration, and how many of them were timed; the others are interpolated.
    """
    timed = thinned(configurations, _pace(open_run, configurations, frames[0]))
    # Once for nothing: the first frames of all pay for clocks, caches and plans, and would pass for its own.
    _time_one(open_run(timed[0]), frames, 0.0, meter)
    found, left = list[_Times](), SECONDS / 2
    for done, configuration in enumerate(timed):
        found.append(_time_one(open_run(configuration), frames, left / (len(timed) - done), meter))
        left = max(0.0, left - found[-1].spent)
        advance((done + 1) / len(timed) / 2)
    if 2 * sum(times.spent for times in found) <= SECONDS:
        for done, configuration in enumerate(timed):
            found[done] = found[done].least(
                _time_one(open_run(configuration), frames[: found[done].frames], math.inf, meter)
            )
            advance((1 + (done + 1) / len(timed)) / 2)
    else:
        advance(1.0)
    rows = [
        latency_row(configuration, times.seconds, times.computed, times.joules)
        for configuration, times in zip(timed, found, strict=True)
    ]
    return filled(rows, configurations), len(timed)


@dataclass(frozen=True)
class _Times:
    """Of a configuration's timed frames: seconds, computed patches, mean joules; and the seconds of all frames."""

    seconds: tuple[float, ...]
    computed: tuple[int, ...]
    joules: float | None
    spent: float

    @property
    def frames(self) -> int:
        return WARM_UP + len(self.seconds)

    def least(self, other: _Times) -> _Times:
        """Each frame's time in the better of two passes: what disturbs one of them says nothing of it."""
        known = [joules for joules in (self.joules, other.joules) if joules is not None]
        seconds = tuple(map(min, self.seconds, other.seconds))
        return replace(self, seconds=seconds, joules=min(known, default=None))


def _pace(open_run: Opener, configurations: Sequence[RunConfiguration], frame: Image) -> float:
    """Seconds of a full frame in the dearest configuration; the first call loads the method."""
    dearest = max(configurations, key=lambda one: (one.image_size, one.cores))
    return min(open_run(dearest)(frame).latency for _ in range(3))


def _time_one(run: Run, frames: Sequence[Image], seconds: float, meter: Meter) -> _Times:
    """A configuration on as many frames as fit into these seconds, within `FEWEST` and `MOST`."""
    times, computed, spent = list[float](), list[int](), 0.0
    for index, frame in enumerate(frames[: WARM_UP + MOST]):
        if index == WARM_UP:
            meter()
        result = run(frame)
        spent += result.latency
        if index >= WARM_UP:
            times.append(result.latency)
            computed.append(computed_patches(result))
        if len(times) >= FEWEST and spent >= seconds:
            break
    # A counter that stands still or jumps, as in some virtual machines, tells nothing.
    joules = finite((meter() or 0.0) / len(times), *JOULES)
    return _Times(tuple(times), tuple(computed), joules, spent)


def latency_row(
    configuration: RunConfiguration, times: Sequence[float], computed: Sequence[int], joules: float | None = None
) -> LatencyRow:
    """A configuration's row, from the seconds and the computed patches of each frame, and its mean energy."""
    seconds, patches, found = np.asarray(times), np.asarray(computed), latency(times)
    measured = (found.p50 / 1e3, found.p95 / 1e3, float(seconds.mean()), float(patches.mean()))
    return LatencyRow(*configuration, *measured, *_line(seconds, patches), joules)


def _line(times: NDArray[np.float64], computed: NDArray[np.int_]) -> tuple[float, float]:
    """Seconds without any patch, and per patch: least squares over frames that computed some, but not all."""
    partial = (computed > 0) & (computed < computed.max())
    if partial.sum() < FEWEST // 2 or np.ptp(computed[partial]) == 0:
        return float(np.median(times)), 0.0
    slope, base = np.polyfit(computed[partial], times[partial], 1)
    return (float(base), float(slope)) if slope > 0 and base > 0 else (float(np.median(times[partial])), 0.0)


def thinned(configurations: Sequence[RunConfiguration], pace: float) -> list[RunConfiguration]:
    """The configurations to time so that it takes `LONGEST` seconds at most, if it can.

    Args:
        configurations: all of them.
        pace: seconds of a full frame with the most cores at the largest size.
    """
    largest = max(size for _, size, _ in configurations)

    def seconds(some: Sequence[RunConfiguration]) -> float:
        shares = ((size / largest) ** 2 * (1 if budget is None else STREAMED) for _, size, budget in some)
        return pace * (WARM_UP + FEWEST) * sum(shares)

    cores = _ends([one.cores for one in configurations])
    outer = [one for one in configurations if one.cores in cores]
    budgets = {
        size: _ends(
            [one.patch_budget for one in configurations if one.image_size == size and one.patch_budget is not None]
        )
        for _, size, _ in configurations
    }
    outermost = [one for one in outer if one.patch_budget is None or one.patch_budget in budgets[one.image_size]]
    return next((some for some in (list(configurations), outer) if seconds(some) <= LONGEST), outermost)


def _ends(values: Sequence[int]) -> set[int]:
    return {min(values), max(values)} if values else set()


def filled(rows: Sequence[LatencyRow], configurations: Sequence[RunConfiguration]) -> list[LatencyRow]:
    """Rows for all configurations: those between timed ones are interpolated, in cores, then in patch budgets."""
    known = {row.configuration: row for row in rows}
    for axis in (0, 2):
        for configuration in configurations:
            if configuration not in known and (ends := _around(list(known.values()), configuration, axis)):
                known[configuration] = _between(*ends, configuration, axis)
    return [known[configuration] for configuration in configurations]


def _around(
    rows: Sequence[LatencyRow], configuration: RunConfiguration, axis: int
) -> tuple[LatencyRow, LatencyRow] | None:
    """The nearest rows below and above a configuration that differ from it in this dial only."""
    place = configuration[axis]
    line = {
        row.configuration[axis]: row
        for row in rows
        if all(row.configuration[i] == configuration[i] for i in range(3) if i != axis)
    }
    below = [value for value in line if value is not None and place is not None and value < place]
    above = [value for value in line if value is not None and place is not None and value > place]
    return (line[max(below)], line[min(above)]) if below and above else None


def _between(low: LatencyRow, high: LatencyRow, configuration: RunConfiguration, axis: int) -> LatencyRow:
    start, end, place = low.configuration[axis] or 0, high.configuration[axis] or 0, configuration[axis] or 0
    share = (place - start) / (end - start)
    values: dict[str, Any] = {}
    for name in (one.name for one in fields(LatencyRow)[len(configuration) :]):
        a, b = getattr(low, name), getattr(high, name)
        values[name] = None if a is None or b is None else a + share * (b - a)
    return LatencyRow(*configuration, **values)
