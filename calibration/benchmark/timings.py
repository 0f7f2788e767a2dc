"""Timings to the few numbers that people compare. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


@dataclass(frozen=True)
class Growth:
    """How latency grows with the number of patches: 1 is linear, 2 is quadratic.

    Attributes:
        cores: the budget.
        overall: exponent between the smallest and the largest size.
        steepest: the largest exponent between neighbouring sizes.
    """

    cores: int
    overall: float
    steepest: float


def latency(seconds: Sequence[float]) -> Latency:
    """Summarize one or more timings in seconds."""
    p50, p95, p99 = (float(value) for value in np.percentile(np.asarray(seconds) * 1e3, (50, 95, 99)))
    return Latency(p50, p95, p99, min(seconds) * 1e3, 1e3 / p50)


def median_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """Median over rounds of `seconds[i] / reference[i]`; both hold one timing per round.

    Noise that lasts longer than a round (another program, a warm processor) cancels within each ratio.
    """
    return float(np.median(np.asarray(seconds) / np.asarray(reference)))


def median_extra_ms(first: Sequence[float], steady: Sequence[float]) -> float:
    """Median over rounds of `first[i] - steady[i]` seconds, in milliseconds; near 0 it may be negative."""
    return float(np.median(np.asarray(first) - np.asarray(steady)) * 1e3)


def growth(cores: int, patches: Sequence[int], milliseconds: Sequence[float]) -> Growth:
    """Slopes of log latency over log patches.

    Args:
        cores: the budget that the timings are of.
        patches: two or more different patch counts, in any order.
        milliseconds: the latency at each.
    """
    order = np.argsort(patches)
    x = np.log(np.asarray(patches, np.float64)[order])
    y = np.log(np.asarray(milliseconds, np.float64)[order])
    steps = np.diff(y) / np.diff(x)
    return Growth(cores, float((y[-1] - y[0]) / (x[-1] - x[0])), float(steps.max()))


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Mean cosine between the rows of two arrays (..., width)."""
    a, b = (np.asarray(rows, np.float64).reshape(-1, rows.shape[-1]) for rows in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-30)).mean())
