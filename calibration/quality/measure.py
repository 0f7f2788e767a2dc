"""What each operating point keeps of the best result: the table that the governor chooses by.

The reference is the checkpoint in float32 with all cores at the largest image size, every frame in full. Streams
see a clip frame by frame; photos count as much as the clip. A few dozen images give rough numbers, and the governor
would take their noise for a reason, so what it reads is smoothed where theory knows the order: more cores, a larger
image, and a larger patch budget never take a result further away from the reference. Accuracy and mIoU have no such
order (a model may be best at the size that it was trained at) and stay as they were measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.arrays import Image
from veca_edge.calibration.quality.agreement import (
    Agreement,
    Counts,
    Estimate,
    Look,
    agreement,
    estimate_of_both,
    freshness_of,
    look,
    measure_of,
    stacked,
)
from veca_edge.calibration.quality.answers import RightAnswers, estimate_right
from veca_edge.calibration.quality.monotone import ascending, monotone
from veca_edge.governor.quality import FIGURES, MEASURES, Freshness, QualityRow, QualityTable, RunConfiguration
from veca_edge.image.clip import clip_frames
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import read_model_file
from veca_edge.photos.evaluation import EvaluationPhotos, read_photos
from veca_edge.runtime.child import answer, run_child
from veca_edge.runtime.machine import read_machine
from veca_edge.runtime.model import Model, load
from veca_edge.runtime.result import Result
from veca_edge.runtime.timing import START, opener

CORES = (8, 16, 32, 64)
IMAGE_SIZES = (128, 192, 256)
PATCH_BUDGETS = (96, 48, 16)  # beside all patches; always in a stream, which costs little and saves much
FRAMES = 48  # of the clip
STRIDE = 2  # every second frame is compared; streams see them all
CLIP_RATE = 30.0
BLOCK = 6  # compared frames: 0.4 s, in which a clip's frames say nearly the same and count as one for its errors
PHOTOS = 128  # of a folder at most
DECIMALS = 5

Key = Callable[[RunConfiguration], Any]
Order = Callable[[RunConfiguration], float]


def configurations_of(manifest: Manifest) -> list[RunConfiguration]:
    """The run configurations that a file is evaluated for, the best first."""
    sizes = {size for size in (*IMAGE_SIZES, manifest.image_size) if size % manifest.patch_size == 0}
    counts = {size: (size // manifest.patch_size) ** 2 for size in sizes}
    cores = [count for count in manifest.budgets if count in CORES] or list(manifest.budgets)
    return [
        RunConfiguration(count, size, budget)
        for size in sorted(sizes, reverse=True)
        if counts[size] <= manifest.max_patches
        for budget in (counts[size], *(budget for budget in PATCH_BUDGETS if budget < counts[size]))
        for count in sorted(cores, reverse=True)
    ]


@dataclass(frozen=True)
class Evaluation:
    """A table and what smoothing did to it.

    Attributes:
        table: as the governor reads it.
        values: measured values that theory orders.
        changed: of them, those that were moved.
        beyond: of these, those that contradict theory by more than their standard error and still do a little.
        answered: by "accuracy" and "miou", of how many photos the right answers are known; neither without any.
        reference: the accuracy and mIoU of the reference on these, 0..1.
    """

    table: QualityTable
    values: int
    changed: int
    beyond: int
    answered: Mapping[str, int]
    reference: Mapping[str, float]


def measure_quality(
    model: Model,
    reference: Model,
    configurations: Sequence[RunConfiguration],
    frames: Sequence[Image],
    photos: EvaluationPhotos,
    advance: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Evaluate every run configuration.

    Args:
        model: from the model file.
        reference: from its checkpoint.
        configurations: see `configurations_of`; the first is the best.
        frames: of a clip at `CLIP_RATE`, uint8 (H, W, 3), RGB.
        photos: single images.
        advance: called with how much is done, 0..1.
    """
    cores, size, compared = max(reference.budgets), configurations[0].image_size, frames[::STRIDE]
    answers, done = RightAnswers(model, photos), count(1)

    def tick() -> None:
        advance(next(done) / (len(compared) + len(photos.images) + len(configurations)))

    def kept(result: Result) -> Look:
        found = look(result)
        tick()
        return found

    clip = [kept(reference(frame, cores, size)) for frame in compared]
    best, best_right = _stills(reference, cores, size, photos, answers, kept)
    open_run, scores, alone = opener(model), list[_Score](), dict[tuple[int, int], tuple[Agreement, Agreement]]()
    for one in configurations:
        run, still = open_run(one), (one.cores, one.image_size)
        seen = agreement([look(result) for result in islice(map(run, frames), 0, None, STRIDE)], clip)
        if still not in alone:  # one photo after another are keyframes: the budget says nothing
            looks, right = _stills(model, *still, photos, answers)
            alone[still] = agreement(looks, best), right
        scores.append(_Score(one, seen, *alone[still]))
        tick()
    rows, changed, beyond = _smoothed(scores)
    table = QualityTable(rows, _falling(freshness_of(clip, CLIP_RATE / STRIDE)))
    return Evaluation(
        table,
        values=sum(len(row.measures) for row in rows),
        changed=changed,
        beyond=beyond,
        answered={name: len(counts) for name, counts in best_right.items()},
        reference={name: round(estimate_right(name, n)[0], DECIMALS) for name, n in best_right.items()},
    )


def _stills(
    model: Model,
    cores: int,
    size: int,
    photos: EvaluationPhotos,
    answers: RightAnswers,
    kept: Callable[[Result], Look] = look,
) -> tuple[list[Look], Agreement]:
    """A model's results on photos: what is kept of them, and what is right."""
    looks, right = list[Look](), list[Mapping[str, Counts]]()
    for index, photo in enumerate(photos.images):
        result = model(photo, cores, size)
        looks.append(kept(result))
        right.append(answers.counts(index, result))
    return looks, stacked(right)


@dataclass(frozen=True, eq=False)
class _Score:
    """What one configuration keeps on the clip and on photos, and what it says right about photos."""

    configuration: RunConfiguration
    clip: Agreement
    photos: Agreement
    right: Agreement

    @cached_property
    def measures(self) -> dict[str, Estimate]:
        """What the governor reads, as measured."""
        return {name: estimate_of_both(self.clip[name], self.photos[name], BLOCK) for name in self.clip}

    def row(self, smoothed: Mapping[str, float]) -> QualityRow:
        """The row for a table, with values in place of some measures."""
        estimates = self.measures | {name: estimate_right(name, counts) for name, counts in self.right.items()}
        errors = {f"{name}_error": error for name, (_, error) in estimates.items()}
        values = {
            **{name: value for name, (value, _) in estimates.items()},
            **smoothed,
            **{name: error for name, error in errors.items() if name in FIGURES},
            "embedding_p5": self._low("embedding_cosine"),
            "feature_p5": self._low("feature_cosine"),
        }
        rounded: dict[str, Any] = {name: round(value, DECIMALS) for name, value in values.items()}
        raw = {name: round(self.measures[name][0], DECIMALS) for name in smoothed}
        return QualityRow(*self.configuration, **rounded, raw=raw)

    def _low(self, name: str) -> float:
        """What one image in twenty falls below."""
        images = [measure_of(part[name]) for part in (self.clip, self.photos)]
        return float(np.percentile(np.concatenate(images), 5))


def _smoothed(scores: Sequence[_Score]) -> tuple[tuple[QualityRow, ...], int, int]:
    """Rows that are monotone within their errors; values that were changed; those that should have been more."""
    families = chains([score.configuration for score in scores])
    new: list[dict[str, float]] = [{} for _ in scores]
    beyond = 0
    for name in MEASURES:
        if name not in scores[0].measures:
            continue
        values, spreads = np.array([score.measures[name] for score in scores]).T
        fit = monotone(values, spreads, families)
        for index in np.flatnonzero(fit.round(DECIMALS) != values.round(DECIMALS)):
            new[index][name] = float(fit[index])
            beyond += bool(np.isclose(abs(fit[index] - values[index]), spreads[index]))
    rows = tuple(score.row(values) for score, values in zip(scores, new, strict=True))
    return rows, sum(map(len, new)), beyond


def chains(configurations: Sequence[RunConfiguration]) -> list[list[list[int]]]:
    """Configurations in which theory knows the order, as indices from the least to the most: `monotone`.

    More cores at the same size and budget; a larger budget at the same cores and size; a larger image at the same
    cores with all its patches (the same budget of a larger image leaves more of it stale, so it says nothing).
    """
    whole: dict[int, float] = {}
    for one in configurations:
        whole[one.image_size] = max(whole.get(one.image_size, 0.0), _budget(one))
    complete = [one for one in configurations if _budget(one) == whole[one.image_size]]

    def grouped(some: Sequence[RunConfiguration], key: Key, order: Order) -> list[list[int]]:
        groups: dict[Any, list[RunConfiguration]] = {}
        for one in some:
            groups.setdefault(key(one), []).append(one)
        return [[configurations.index(one) for one in sorted(group, key=order)] for group in groups.values()]

    return [
        grouped(configurations, lambda one: (one.image_size, one.patch_budget), lambda one: one.cores),
        grouped(configurations, lambda one: (one.cores, one.image_size), _budget),
        grouped(complete, lambda one: one.cores, lambda one: one.image_size),
    ]


def _budget(one: RunConfiguration) -> float:
    return math.inf if one.patch_budget is None else one.patch_budget


def _falling(freshness: Freshness) -> Freshness:
    """The same, where an older result is never worth more: on a short clip few pairs are far apart."""
    worth = ascending(np.array(freshness.worth[::-1]))[::-1]
    ages = tuple(round(age, DECIMALS) for age in freshness.ages)
    return Freshness(ages, tuple(round(float(value), DECIMALS) for value in worth))


def quality_in_child(
    path: Path,
    source: Path,
    progress: Callable[[float], None] = lambda _: None,
    images: Path | None = None,
) -> dict[str, Any]:
    """Measure in a child process, for `Manifest.quality`.

    Args:
        path: the model file.
        source: the checkpoint that it was made from.
        progress: called with how much is done, 0..1.
        images: a folder of photos beside the packaged clip, see `read_photos`; None for the packaged ones.

    Returns:
        `QualityTable.to_dict`, with "about" for people, "sample" (what it was measured on), "smoothed" (what
        smoothing changed) and "made_with" (processor and versions).

    Raises:
        VecaError: the child failed.
    """
    named = [] if images is None else [str(images.resolve())]
    module = "veca_edge.calibration.quality.measure"
    return run_child(module, path, str(source.resolve()), *named, progress=progress)


def _main(
    path: str, source: str, images: str | None = None, *, progress: Callable[[float], None]
) -> dict[str, Any]:
    """The child's work."""
    file, machine = read_model_file(path), read_machine()
    frames, photos = clip_frames(START, FRAMES), read_photos(None if images is None else Path(images), PHOTOS)
    model, reference = load(path), load(source)
    found = measure_quality(model, reference, configurations_of(file.manifest), frames, photos, progress)
    facts = {
        "about": f"{len(frames)} frames of a clip and {len(photos.images)} photos, against the checkpoint in fp32",
        "sample": {
            "compared_frames": len(frames[::STRIDE]),
            "photos": len(photos.images),
            "found": photos.found,
            "skipped": photos.skipped,
            "labelled": found.answered.get("accuracy", 0),
            "masked": found.answered.get("miou", 0),
            "digest": photos.digest,
            "seed": photos.seed,
            **{f"reference_{name}": value for name, value in found.reference.items()},
        },
        "smoothed": {"values": found.values, "changed": found.changed, "beyond_error": found.beyond},
        "made_with": {"processor": machine.processor, "threads": model.engine.threads} | machine.versions,
    }
    return found.table.to_dict() | facts


if __name__ == "__main__":
    answer(_main)
