"""Measures tables of operating points, quality and latency: the real model on a real clip. The model is given.

Every way of running goes over the clip; its results are compared, frame by frame, with those of the best way (all
cores, largest image, every patch of every frame). A frame's time is the least of several passes, minutes apart:
what disturbs the machine in one of them is no property of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError
from veca_edge.governor.quality import Freshness, LatencyRow, LatencyTable, QualityRow, QualityTable, Way, fidelity
from veca_edge.runtime.result import computed_patches
from veca_edge.runtime.timing import latency_row

Image = NDArray[np.uint8]
Float = NDArray[np.float32]

IMAGE_SIZES = (128, 192, 256)
PATCH_BUDGETS: tuple[int | None, ...] = (None, 96, 48, 16)
WARM_UP = 8  # frames of each way that are not timed: the first is a keyframe, and clocks and caches settle
PASSES = 3
STRIDE = 4  # ways without memory need not see every frame
LONGEST_AGE = 1.0  # seconds up to which the worth of an old result is measured


class Outcome(Protocol):
    """What is read of a result."""

    @property
    def embedding(self) -> Float: ...
    @property
    def features(self) -> Float: ...
    @property
    def logits(self) -> Float | None: ...
    @property
    def latency(self) -> float: ...
    @property
    def computed(self) -> NDArray[np.bool_] | None: ...


Run = Callable[[Image], Outcome]
# Mean embedding cosine, mean cosine of the pooled features, share of equal labels.
Means = tuple[float, float, float | None]
# Opens a way of running afresh: what it returns is called with one frame after another.
Opener = Callable[[Way], Run]


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        open: see `Opener`.
        cores: budgets to measure, ascending.
        frames: of a clip, uint8 (H, W, 3), RGB, at least a dozen.
        rate: the clip's frames per second.
        photos: single images; streams have no say in them.
        image_sizes, patch_budgets: the other two dials.
    """

    open: Opener
    cores: tuple[int, ...]
    frames: Sequence[Image]
    rate: float
    photos: Sequence[Image] = ()
    image_sizes: tuple[int, ...] = IMAGE_SIZES
    patch_budgets: tuple[int | None, ...] = PATCH_BUDGETS

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every combination, the best first."""
        return tuple(
            (cores, size, budget)
            for size in sorted(self.image_sizes, reverse=True)
            for budget in self.patch_budgets
            for cores in sorted(self.cores, reverse=True)
        )


@dataclass(frozen=True)
class Look:
    """What is kept of one result."""

    embedding: Float
    pooled: Float
    label: int | None


def measure(
    subject: Subject, advance: Callable[[float], None] = lambda done: None
) -> tuple[QualityTable, LatencyTable]:
    """Measure every way of running.

    Args:
        subject: model, clip and photos.
        advance: called with the share that is done, 0..1.

    Raises:
        VecaError: fewer frames than a measurement takes.
    """
    if len(subject.frames) <= STRIDE * WARM_UP:
        raise VecaError(
            f"{len(subject.frames)} frames are too few to measure on: use {STRIDE * WARM_UP + 1} or more"
        )
    best = subject.ways[0]
    reference = [look(result) for result in map(subject.open(best), subject.frames)]
    pictures = [look(subject.open(best)(photo)) for photo in subject.photos]
    passes: dict[Way, list[_Pass]] = {way: [] for way in subject.ways}
    for index in range(PASSES):
        for done, way in enumerate(subject.ways):
            passes[way].append(_run_clip(subject, way, reference))
            advance((index + (done + 1) / len(subject.ways)) / PASSES)
    quality = [QualityRow(*way, *_agreed(subject, way, passes[way][0], pictures)) for way in subject.ways]
    latency = [_latency(way, passes[way]) for way in subject.ways]
    freshness = freshness_of(reference, subject.rate)
    return QualityTable(tuple(quality), freshness), LatencyTable(tuple(latency))


@dataclass(frozen=True)
class _Pass:
    """One way over the clip: agreement with the reference; seconds and computed patches of each timed frame."""

    means: Means
    times: tuple[float, ...]
    computed: tuple[int, ...]


def _run_clip(subject: Subject, way: Way, reference: Sequence[Look]) -> _Pass:
    run, looks, seen, times, computed = subject.open(way), [], [], [], []
    # The first frame once more than it counts: the first call of a way pays for what is set up once.
    run(subject.frames[0])
    for index in range(0, len(subject.frames), STRIDE if way[2] is None else 1):
        result = run(subject.frames[index])
        looks.append(look(result))
        seen.append(reference[index])
        if len(looks) > WARM_UP:
            times.append(result.latency)
            computed.append(computed_patches(result))
    return _Pass(agreement(looks, seen).means, tuple(times), tuple(computed))


def _agreed(subject: Subject, way: Way, clip: _Pass, pictures: Sequence[Look]) -> Means:
    """Agreement over clip and photos."""
    if not pictures:
        return clip.means
    # A photo in a stream is a keyframe, so the budget changes nothing about it.
    stills = [look(subject.open((way[0], way[1], None))(photo)) for photo in subject.photos]
    return mean_of(clip.means, agreement(stills, pictures).means)


def _latency(way: Way, passes: Sequence[_Pass]) -> LatencyRow:
    return latency_row(way, list(np.min([one.times for one in passes], axis=0)), passes[0].computed)


def look(result: Outcome) -> Look:
    label = None if result.logits is None else int(result.logits.argmax())
    return Look(_unit(result.embedding), _unit(result.features.mean(axis=(0, 1))), label)


def _unit(vector: Float) -> Float:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


@dataclass(frozen=True, eq=False)
class Agreement:
    """Results compared with the reference's, image by image.

    Attributes:
        embedding, pooled: float64 (n,), cosines.
        same: float64 (n,), 1 for the same first label, else 0; None without a head.
    """

    embedding: NDArray[np.float64]
    pooled: NDArray[np.float64]
    same: NDArray[np.float64] | None

    @property
    def means(self) -> Means:
        same = None if self.same is None else float(self.same.mean())
        return float(self.embedding.mean()), float(self.pooled.mean()), same


def agreement(looks: Sequence[Look], reference: Sequence[Look]) -> Agreement:
    """Compare results of the same images; at least one."""
    pairs = list(zip(looks, reference, strict=True))
    same = [a.label == b.label for a, b in pairs if a.label is not None]
    return Agreement(
        np.array([a.embedding @ b.embedding for a, b in pairs], np.float64),
        np.array([a.pooled @ b.pooled for a, b in pairs], np.float64),
        np.array(same, np.float64) if same else None,
    )


def mean_of(a: Means, b: Means) -> Means:
    """Clip and photos count the same, however many there are of each."""
    top1 = None if a[2] is None or b[2] is None else (a[2] + b[2]) / 2
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, top1


def freshness_of(reference: Sequence[Look], rate: float) -> Freshness:
    """Fidelity of each frame's result to the results of the frames after it."""
    lags = range(min(round(LONGEST_AGE * rate), len(reference) - 1) + 1)
    worth = (1.0 if lag == 0 else fidelity(*agreement(reference[:-lag], reference[lag:]).means) for lag in lags)
    return Freshness(tuple(lag / rate for lag in lags), tuple(worth))


def to_dict(quality: QualityTable, latency: LatencyTable, about: str) -> dict[str, Any]:
    """The measured tables, ready for JSON.

    Args:
        quality, latency: from `measure`.
        about: what was measured on what, for people.
    """
    rounded = [
        {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}
        for row in latency.to_rows()
    ]
    table = quality.to_dict()
    rows = [
        {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}
        for row in table["rows"]
    ]
    freshness = {name: [round(value, 4) for value in values] for name, values in table["freshness"].items()}
    return {"about": about, "quality": rows, "freshness": freshness, "latency": rounded}
