"""How everything is timed here: after a warm-up, interleaved round by round, and summed up in percentiles.

Within a round every task is timed once, so that what disturbs the machine disturbs all of them. Each timed call
follows untimed ones of the same kind: that is how a stream of frames runs, and it leaves nothing of the task
before, be it data in the processor's caches or threads that still spin. Thread pools (OpenMP's, ONNX Runtime's)
let idle threads spin for some milliseconds before they sleep; the untimed calls last longer than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

SETTLE = 0.025  # seconds of untimed calls before a timed one, at least one call
WARM_UP = 2  # calls of each task before the first round

Call = Callable[[], object]
Advance = Callable[[], object]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Latency:
    """How long one call takes, over all rounds; milliseconds.

    Attributes:
        p50, p95, p99: percentiles, interpolated linearly between neighbouring samples.
        minimum: the fastest call.
        per_second: calls per second at the median.
    """

    p50: float
    p95: float
    p99: float
    minimum: float
    per_second: float


def latency(seconds: ArrayLike) -> Latency:
    """Summarize one or more timings in seconds."""
    milliseconds = np.asarray(seconds, np.float64) * 1e3
    p50, p95, p99 = (float(value) for value in np.percentile(milliseconds, (50, 95, 99)))
    return Latency(p50, p95, p99, float(milliseconds.min()), 1e3 / p50)


def median_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """Median over rounds of `seconds[i] / reference[i]`; both hold one timing per round.

    Noise that lasts longer than a round (another program, a warm processor) cancels within each ratio.
    """
    return float(np.median(np.asarray(seconds) / np.asarray(reference)))


def median_extra_ms(first: Sequence[float], steady: Sequence[float]) -> float:
    """Median over rounds of `first[i] - steady[i]` seconds, in milliseconds; near 0 it may be negative."""
    return float(np.median(np.asarray(first) - np.asarray(steady)) * 1e3)


def interleaved(
    tasks: Mapping[Key, Call], rounds: int, advance: Advance = lambda: None, warm_up: int = WARM_UP
) -> dict[Key, list[float]]:
    """Time every task once per round, in seconds, each after untimed calls of itself.

    Every second round runs backwards, so that a slow drift of the machine favours no task.

    Args:
        tasks: what to call, by name.
        rounds: timings per task.
        advance: called after each round.
        warm_up: untimed calls of each task before the first round.
    """
    for call in tasks.values():
        for _ in range(warm_up):
            call()
    samples: dict[Key, list[float]] = {key: [] for key in tasks}
    order = list(tasks.items())
    for index in range(rounds):
        for key, call in order if index % 2 == 0 else reversed(order):
            settle(call)
            samples[key].append(timed(call))
        advance()
    return samples


def settle(call: Call) -> None:
    """Call until nothing of what ran before is left."""
    start = perf_counter()
    call()
    while perf_counter() - start < SETTLE:
        call()


def timed(call: Call) -> float:
    """Seconds that a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start
