"""What each operating point keeps of the best result: the table that the governor chooses by.

The reference is the checkpoint in float32 with all cores at the largest image size, every frame in full. Streams
see a clip frame by frame; photos count as much as the clip. A share of a few dozen images is a rough number, and
the governor would take its noise for a reason, so what it reads is smoothed where theory knows the order: more
cores, a larger image, and a larger patch budget never take a result further away from the reference. Accuracy has
no such order (a model may be best at the size that it was trained at) and stays as it was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.calibration.quality.agreement import Agreement, Look, Means, agreement, freshness_of, look, mean_of
from veca_edge.calibration.quality.monotone import ascending, monotone
from veca_edge.governor.quality import MEASURES, Freshness, QualityRow, QualityTable, RunConfiguration
from veca_edge.image.clip import clip_frames
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import read_model_file
from veca_edge.photos.evaluation import EvaluationPhotos, read_photos
from veca_edge.runtime.child import answer, run_child
from veca_edge.runtime.machine import read_machine
from veca_edge.runtime.model import Model, load
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
        reference_accuracy: of the reference on the labelled photos, 0..1, or None without labels.
    """

    table: QualityTable
    values: int
    changed: int
    beyond: int
    reference_accuracy: float | None


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
    cores, size = max(reference.budgets), configurations[0].image_size
    compared = frames[::STRIDE]
    steps, done = len(compared) + len(photos.images) + len(configurations), count(1)

    def referred(image: Image) -> Look:
        found = look(reference(image, cores=cores, image_size=size))
        advance(next(done) / steps)
        return found

    clip, stills = [referred(frame) for frame in compared], [referred(photo) for photo in photos.images]
    targets = photos.targets(model.labels)
    open_run, scores, alone = opener(model), list[_Score](), dict[tuple[int, int], list[Look]]()
    for one in configurations:
        run, still = open_run(one), (one.cores, one.image_size)
        seen = agreement([look(run(frame)) for frame in frames][::STRIDE], clip)
        if still not in alone:  # one photo after another are keyframes: the budget says nothing
            alone[still] = [look(model(photo, *still)) for photo in photos.images]
        looks = alone[still]
        scores.append(_Score(one, seen, agreement(looks, stills), _right(looks, targets)))
        advance(next(done) / steps)
    rows, changed, beyond = _smoothed(scores)
    table = QualityTable(rows, _falling(freshness_of(clip, CLIP_RATE / STRIDE)))
    right = _right(stills, targets)
    best = None if right is None else round(float(right.mean()), DECIMALS)
    return Evaluation(table, len(rows) * (2 + (rows[0].top1_agreement is not None)), changed, beyond, best)


@dataclass(frozen=True, eq=False)
class _Score:
    """What one configuration keeps: on the clip, on photos, and float64 (n,) of right labels, None without any."""

    configuration: RunConfiguration
    clip: Agreement
    photos: Agreement
    right: NDArray[np.float64] | None

    @property
    def means(self) -> Means:
        return mean_of(self.clip.means, self.photos.means)

    @property
    def errors(self) -> Means:
        """Standard errors of the means."""

        def both(clip: float, photos: float) -> float:
            return float(np.hypot(clip, photos) / 2)

        a, b = self.clip, self.photos
        same = None
        if a.same is not None and b.same is not None:
            same = both(share_error(a.same.mean(), len(a.same) / BLOCK), share_error(b.same.mean(), len(b.same)))
        return (
            both(_error(a.embedding, BLOCK), _error(b.embedding)),
            both(_error(a.pooled, BLOCK), _error(b.pooled)),
            same,
        )

    def row(self, smoothed: Mapping[str, float]) -> QualityRow:
        """The row for a table, with values in place of some measures."""
        measured = dict(zip(MEASURES, self.means, strict=True))
        right = self.right
        values = {
            **measured,
            **smoothed,
            "embedding_p5": _low(self.clip.embedding, self.photos.embedding),
            "feature_p5": _low(self.clip.pooled, self.photos.pooled),
            "top1_error": self.errors[2],
            "accuracy": None if right is None else float(right.mean()),
            "accuracy_error": None if right is None else share_error(right.mean(), len(right)),
        }
        raw = {name: round(measured[name] or 0.0, DECIMALS) for name in smoothed}
        rounded: dict[str, Any] = {k: None if v is None else round(v, DECIMALS) for k, v in values.items()}
        return QualityRow(*self.configuration, **rounded, raw=raw)


def _right(looks: Sequence[Look], targets: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """1 where the first label is the photo's own, else 0, of the photos that have one."""
    found = [one.label == target for one, target in zip(looks, targets, strict=True) if target >= 0]
    return np.array(found, np.float64) if found else None


def _low(*values: NDArray[np.float64]) -> float:
    return float(np.percentile(np.concatenate(values), 5))


def _error(values: NDArray[np.float64], block: int = 1) -> float:
    """Standard error of a mean, whole blocks of neighbours counted as one value; 1 if nothing can be said."""
    blocks = [values[start : start + block].mean() for start in range(0, len(values), block)]
    return float(np.std(blocks, ddof=1) / np.sqrt(len(blocks))) if len(blocks) > 1 else 1.0


def share_error(share: float, count: float) -> float:
    """Standard error of a share of `count` images, one more of each kind assumed: never 0, however few agree."""
    likely = (share * count + 1) / (count + 2)
    return float(np.sqrt(likely * (1 - likely) / count))


def _smoothed(scores: Sequence[_Score]) -> tuple[tuple[QualityRow, ...], int, int]:
    """Rows that are monotone within their errors; values that were changed; those that should have been more."""
    families = chains([score.configuration for score in scores])
    new: list[dict[str, float]] = [{} for _ in scores]
    beyond = 0
    for place, name in enumerate(MEASURES):
        means, errors = ([getattr(score, kind)[place] for score in scores] for kind in ("means", "errors"))
        if None in means:
            continue
        values, spreads = np.array(means, np.float64), np.array(errors, np.float64)
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
    labelled = int((photos.targets(model.labels) >= 0).sum())
    facts = {
        "about": f"{len(frames)} frames of a clip and {len(photos.images)} photos, against the checkpoint in fp32",
        "sample": {
            "compared_frames": len(frames[::STRIDE]),
            "photos": len(photos.images),
            "found": photos.found,
            "skipped": photos.skipped,
            "labelled": labelled,
            "digest": photos.digest,
            "seed": photos.seed,
            "reference_accuracy": found.reference_accuracy,
        },
        "smoothed": {"values": found.values, "changed": found.changed, "beyond_error": found.beyond},
        "made_with": {"processor": machine.processor, "threads": model.engine.threads} | machine.versions,
    }
    return found.table.to_dict() | facts


if __name__ == "__main__":
    answer(_main)
