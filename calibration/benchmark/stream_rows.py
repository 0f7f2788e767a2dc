"""What was measured of streams, frame by frame, summarized. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from veca_edge.calibration.benchmark.report import Measured
from veca_edge.runtime.measuring import Latency, latency

SECOND = 30  # frames: the rate that cameras deliver, and the governor's decisions are a second apart


@dataclass(frozen=True)
class Fidelity:
    """How close a stream stays to full computation.

    Attributes:
        mean, p5, worst: over frames, of the frame's mean cosine between its patches' features and the full ones;
            `p5` is the 5th percentile.
        top1: share of frames with the same most likely label, None for a model without labels.
    """

    mean: float
    p5: float
    worst: float
    top1: float | None


@dataclass(frozen=True)
class Host:
    """The part of a frame's time outside the engine: resizing, finding change, copying results.

    Attributes:
        frame_ms: mean time of a frame, milliseconds.
        share: of it, outside the engine.
    """

    frame_ms: float
    share: float


@dataclass(frozen=True)
class StreamRow:
    """One clip, or all of them, at one core budget and patch budget; times in milliseconds.

    Attributes:
        clip: its name, or `StreamBenchmark.pool`.
        cores: active cores.
        patch_budget: most patches per frame, None without a limit.
        frames: measured.
        full, streamed: every frame computed in full, and as a stream; whole calls, resizing included.
        full_mean, streamed_mean: their means, which `ratio` divides.
        ratio: streamed_mean / full_mean.
        worst: the largest such ratio over a second of frames in a row (`SECOND`), None for fewer frames.
        against_most: full_mean with the largest measured core budget / streamed_mean.
        patches: computed per frame, mean.
        idle: frames for which nothing had to be computed.
        keyframes: frames for which everything was.
        fidelity: against full computation.
        host: over all frames.
    """

    clip: str
    cores: int
    patch_budget: int | None
    frames: int
    full: Latency
    streamed: Latency
    full_mean: float
    streamed_mean: float
    ratio: float
    worst: float | None
    against_most: float
    patches: float
    idle: int
    keyframes: int
    fidelity: Fidelity
    host: Host


@dataclass(frozen=True)
class StreamBenchmark(Measured):
    """Everything that was measured; times are milliseconds.

    Attributes:
        image_size: pixels.
        patches: of the model's input, for the last clip.
        pool: the name of the rows over all clips, None for a single clip.
        rows: by clip (the pool first), cores and patch budget.
    """

    image_size: int
    patches: int
    pool: str | None
    rows: tuple[StreamRow, ...]


class Sample(NamedTuple):
    """One frame in full and streamed; times in seconds."""

    full: float
    streamed: float
    engine: float
    total: int
    patches: int
    keyframe: bool
    cosine: float
    agrees: bool | None


Key = tuple[str, int, int | None]  # clip, cores, patch budget
Samples = Mapping[Key, Sequence[Sample]]


def pooled(samples: Samples, clips: Sequence[str], name: str) -> Samples:
    """The samples and, in front of them, those of the clips together under a name of their own."""
    budgets = dict.fromkeys((cores, budget) for _, cores, budget in samples)
    joined = {
        (name, cores, budget): [one for clip in clips for one in samples[clip, cores, budget]]
        for cores, budget in budgets
    }
    return {**joined, **samples}


def stream_rows(samples: Samples) -> Iterator[StreamRow]:
    """A row per clip, core budget and patch budget."""
    most = max(cores for _, cores, _ in samples)
    for (clip, cores, budget), taken in samples.items():
        full, streamed = ([one.full for one in taken], [one.streamed for one in taken])
        yield StreamRow(
            clip=clip,
            cores=cores,
            patch_budget=budget,
            frames=len(taken),
            full=latency(full),
            streamed=latency(streamed),
            full_mean=_mean(full) * 1e3,
            streamed_mean=_mean(streamed) * 1e3,
            ratio=_mean(streamed) / _mean(full),
            worst=worst_second(taken),
            against_most=_mean([one.full for one in samples[clip, most, budget]]) / _mean(streamed),
            patches=_mean([one.patches for one in taken]),
            idle=sum(one.patches == 0 for one in taken),
            keyframes=sum(one.keyframe for one in taken),
            fidelity=fidelity(taken),
            host=host(taken),
        )


def worst_second(samples: Sequence[Sample]) -> float | None:
    """Streamed over full time in the worst second; None where there are fewer frames."""
    times = np.array([(one.streamed, one.full) for one in samples])
    if len(times) < SECOND:
        return None
    sums = np.cumsum(np.vstack([np.zeros((1, 2)), times]), axis=0)
    streamed, full = (sums[SECOND:] - sums[:-SECOND]).T
    return float((streamed / full).max())


def fidelity(samples: Sequence[Sample]) -> Fidelity:
    """Over one or more frames."""
    cosines = np.array([one.cosine for one in samples])
    agreements = [one.agrees for one in samples if one.agrees is not None]
    top1 = _mean(agreements) if agreements else None
    return Fidelity(float(cosines.mean()), float(np.percentile(cosines, 5)), float(cosines.min()), top1)


def host(samples: Sequence[Sample]) -> Host:
    """Over one or more frames."""
    streamed = sum(one.streamed for one in samples)
    share = 1 - sum(one.engine for one in samples) / streamed
    return Host(streamed / len(samples) * 1e3, share)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
