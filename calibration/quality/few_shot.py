"""How well things are recognised by a handful of examples: episodes of a few labels, drawn from photos at random.

An episode takes some labels, some examples of each, which are learned with all cores, and other photos of these
labels and of others, which are asked at every core budget. It is what `Gallery` does, many times over.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError
from veca_edge.files import expanded, shortened
from veca_edge.gallery.index import Index, directions
from veca_edge.gallery.regions import Region, region_mean
from veca_edge.image.skipping import Say
from veca_edge.numbers import counted
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import read_labelled
from veca_edge.photos.masks import Classes, MaskedPhotos, decoded, holds_masks, read_masked_split
from veca_edge.runtime.model import Model, load
from veca_edge.runtime.result import Result

WAYS, SHOTS = (5, 20), (1, 5, 10)  # labels in an episode, examples of each
BUDGETS = (8, 16, 32, 64)  # asked, of those that the model offers
EPISODES = 500
ASKED = 5  # photos of a label at most in an episode
STRANGERS = 20  # photos of other labels at most
SEED = 0
BACKGROUND = "background"  # a class of masks that is no thing
LEAST_SHARE = 0.004  # of a photo: a class with less of it is left out
CORE = (0.1, 0.9)  # quantiles of a class's pixels across and down, between which its box lies
TEACHER = "teacher"

Progress = Callable[[float], None]


@dataclass(frozen=True)
class FewShotRequest:
    """What to measure, on what.

    Attributes:
        model: a checkpoint, a .pte file or a Core ML package.
        data: a folder of photos in folders named after their labels; or with masks, whose classes are then
            recognised by boxes around them.
        budgets: core counts to ask at; None for those of `BUDGETS` that the model offers.
        image_size: pixels; None for the model's own.
        threads: worker threads; None for the number of big cores.
        teacher: another model to compare with (`training.teachers`), for photos in folders; None for none.
        episodes: how many.
    """

    model: Path
    data: Path
    budgets: tuple[int, ...] | None = None
    image_size: int | None = None
    threads: int | None = None
    teacher: str | None = None
    episodes: int = EPISODES


@dataclass(frozen=True)
class Share:
    """A mean share of episodes, 0..1, and its standard error."""

    mean: float
    error: float


@dataclass(frozen=True)
class FewShotRow:
    """What became of the episodes with so many labels and examples.

    Attributes:
        way, shot: labels, and examples of each.
        right: the share of photos whose best match is right, by the cores that were asked, and by "teacher".
        named: the share of photos, asked with the fewest cores, whose best match is sure.
        right_named: of these, those that are right; None without any.
        strangers_named: the share of photos of other labels that get a name; None without other labels.
    """

    way: int
    shot: int
    right: Mapping[str, Share]
    named: float
    right_named: float | None
    strangers_named: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return vars(self) | {"right": {name: vars(share) for name, share in self.right.items()}}


@dataclass(frozen=True)
class FewShot:
    """A measurement.

    Attributes:
        what, photos: the model, and how many photos in which folder, for people.
        learned: cores with which examples are learned.
        episodes: how many for each row.
        rows: by way, then by shot.
    """

    what: str
    photos: str
    learned: int
    episodes: int
    rows: tuple[FewShotRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"kind": "few-shot"} | vars(self) | {"seed": SEED, "rows": [row.to_dict() for row in self.rows]}


@dataclass(frozen=True, eq=False)
class _Vectors:
    """Directions, float64 (n, D'), of the same n photos by who computed them, and their labels (n,)."""

    labels: NDArray[np.int64]
    by: Mapping[str, NDArray[np.float64]]
    learned: str


@dataclass
class _Tally:
    """Of each episode what is right, by who was asked; of all photos: named, right of these, strangers named."""

    right: dict[str, list[float]] = field(default_factory=dict)
    named: list[NDArray[np.bool_]] = field(default_factory=list)
    right_named: list[NDArray[np.bool_]] = field(default_factory=list)
    strangers: list[NDArray[np.bool_]] = field(default_factory=list)

    def row(self, way: int, shot: int) -> FewShotRow:
        shares = {name: _share(np.array(values)) for name, values in self.right.items()}
        named, right, strangers = map(_mean, (self.named, self.right_named, self.strangers))
        return FewShotRow(way, shot, shares, named or 0.0, right, strangers)


def evaluate_few_shot(
    request: FewShotRequest, say: Say = lambda _: None, progress: Callable[[str, float], None] = lambda *_: None
) -> FewShot:
    """Measure how well things are recognised by a handful of examples.

    Args:
        say: receives lines about photos that are left out.
        progress: called with a stage's name and how much of it is done, 0..1.

    Raises:
        VecaError: a file that cannot be read, a budget or a size that the model does not offer, or fewer than two
            labels with two photos each.
    """
    folder = expanded(request.data)
    kind = holds_masks(folder)
    if kind == "regression" or (kind is not None and request.teacher is not None):
        reason = "a teacher is asked about whole photos" if kind == "segmentation" else "values are no labels"
        raise VecaError(f"{shortened(folder)}: {reason}: give photos in folders named after their labels")
    with load(request.model, threads=request.threads) as model:
        budgets = tuple(sorted({model.check_budget(cores) for cores in request.budgets or _offered(model)}))
        learned = model.check_budget(None)
        size = model.preprocessing.image_size if request.image_size is None else request.image_size
        step = partial(progress, "computing")
        read = _of_photos if kind is None else _of_masks
        vectors = read(model, folder, tuple({*budgets, learned}), size, request.teacher, say, step)
        rows = _rows(vectors, [str(cores) for cores in budgets], request.episodes, partial(progress, "drawing"))
        what = f"{model.name} at {size} px"
    count = f"{counted(len(vectors.labels), 'photo' if kind is None else 'box')} in {shortened(folder)}"
    return FewShot(what, count, learned, request.episodes, rows)


def _offered(model: Model) -> Sequence[int]:
    return [cores for cores in BUDGETS if cores in model.budgets] or model.budgets


def _of_photos(
    model: Model, folder: Path, budgets: Sequence[int], size: int, teacher: str | None, say: Say, step: Progress
) -> _Vectors:
    """Whole photos."""
    photos = read_labelled(folder, say)
    ask = None if teacher is None else _teacher(teacher, model, photos.labels, size)
    found: dict[str, list[Float]] = {}
    labels = []
    for row, image in readable(photos.paths, lambda image: image, say):
        for cores in budgets:
            found.setdefault(str(cores), []).append(model(image, cores, size).embedding)
        if ask is not None:
            found.setdefault(TEACHER, []).append(ask(image))
        labels.append(photos.targets[row])
        step((row + 1) / len(photos))
    return _vectors(model, labels, found, region=False)


def _of_masks(
    model: Model, folder: Path, budgets: Sequence[int], size: int, teacher: str | None, say: Say, step: Progress
) -> _Vectors:
    """A box around each class in each photo."""
    photos = read_masked_split(folder, "segmentation", say)
    found: dict[str, list[Float]] = {}
    labels: list[int] = []
    for row, (image, mask) in decoded(photos.val, photos.meaning, lambda image, mask: (image, mask), say):
        results = {cores: model(image, cores, size) for cores in budgets}
        for number, box in _boxes(mask, photos, results[budgets[0]]):
            labels.append(number)
            for cores, result in results.items():
                found.setdefault(str(cores), []).append(region_mean(result, box))
        step((row + 1) / len(photos.val))
    return _vectors(model, labels, found, region=True)


def _vectors(model: Model, labels: Sequence[int], found: Mapping[str, Sequence[Float]], region: bool) -> _Vectors:
    """What was found, as directions."""
    if not labels:
        raise VecaError("there is nothing in these photos to recognise")
    mean = None if model.means is None else model.means.arrays[region]
    stacked = {name: np.stack(vectors) for name, vectors in found.items()}
    # Nobody averaged the teacher's vectors before: those at hand are the best for it.
    means = {name: array.mean(0, np.float64) if name == TEACHER else mean for name, array in stacked.items()}
    by = {name: directions(array, means[name]) for name, array in stacked.items()}
    return _Vectors(np.array(labels, np.int64), by, str(model.check_budget(None)))


def _boxes(mask: NDArray[Any], photos: MaskedPhotos, result: Result) -> Iterator[tuple[int, Region]]:
    """Class number and box of the classes that a mask, (H, W), has enough of where the model looks."""
    assert isinstance(photos.meaning, Classes)  # it is asked for a segmentation
    x, y, width, height = result.crop
    left, top = max(x, 0), max(y, 0)
    cut = mask[top : y + height, left : x + width]
    for number, label in enumerate(photos.meaning.labels):
        rows, columns = np.nonzero(cut == number)
        if label != BACKGROUND and len(rows) >= max(1, LEAST_SHARE * cut.size):
            (first, last), (start, end) = np.quantile(rows, CORE), np.quantile(columns, CORE)
            yield number, (left + start, top + first, end - start + 1, last - first + 1)


def _teacher(source: str, model: Model, labels: Sequence[str], size: int) -> Callable[[Image], Float]:
    """A function from a photo to a teacher's embedding of what the model sees of it."""
    import torch

    from veca_edge.training.teachers import ask, load_teacher

    teacher = load_teacher(source, torch.device("cpu"), labels)
    settings = model.preprocessing
    mean, std = (torch.tensor(values)[:, None, None] for values in (settings.mean, settings.std))

    def embedding(image: Image) -> Float:
        fitted = settings.resize(image, model.patch_size, size).image
        pixels = torch.from_numpy(fitted).permute(2, 0, 1).float() / 255
        vector: Float = ask(teacher, ((pixels - mean) / std)[None]).embedding[0].numpy()
        return vector

    return embedding


def _rows(vectors: _Vectors, asked: Sequence[str], episodes: int, step: Progress) -> tuple[FewShotRow, ...]:
    """A row for every way and shot that the photos are enough for."""
    counts = np.bincount(vectors.labels)
    asked = [*asked, *(name for name in vectors.by if name == TEACHER)]
    done, plan = itertools.count(1), []
    for shot in SHOTS:
        labels = np.flatnonzero(counts > shot)
        plan += [(way, shot, labels) for way in sorted({min(way, len(labels)) for way in WAYS}) if way > 1]
    if not plan:
        raise VecaError("few-shot figures need two labels or more with two photos or more each")
    plan.sort(key=lambda entry: entry[:2])
    rows = []
    for way, shot, labels in plan:
        random, tally = np.random.default_rng([SEED, way, shot]), _Tally()
        for _ in range(episodes):
            _episode(vectors, asked, labels, way, shot, random, tally)
            step(next(done) / (episodes * len(plan)))
        rows.append(tally.row(way, shot))
    return tuple(rows)


def _episode(
    vectors: _Vectors,
    asked: Sequence[str],
    labels: NDArray[np.intp],
    way: int,
    shot: int,
    random: np.random.Generator,
    tally: _Tally,
) -> None:
    chosen = random.choice(labels, way, replace=False)
    drawn = [random.permutation(np.flatnonzero(vectors.labels == label)) for label in chosen]
    learned = np.concatenate([rows[:shot] for rows in drawn])
    queries = np.concatenate([rows[shot : shot + ASKED] for rows in drawn])
    answers = np.repeat(np.arange(way), [len(rows[shot : shot + ASKED]) for rows in drawn])
    others = random.permutation(np.flatnonzero(~np.isin(vectors.labels, chosen)))[:STRANGERS]
    names = [str(place) for place in range(way) for _ in range(shot)]
    for position, name in enumerate(asked):
        own = name if name == TEACHER else vectors.learned
        index = Index.of(names, list(vectors.by[own][learned]))
        similarity = vectors.by[name][queries] @ index.prototypes.T
        right = similarity.argmax(1) == answers
        tally.right.setdefault(name, []).append(float(right.mean()))
        if position == 0:
            sure = similarity.max(1) >= index.threshold
            tally.named.append(sure)
            tally.right_named.append(right[sure])
            strangers = vectors.by[name][others] @ index.prototypes.T
            tally.strangers.append(strangers.max(1) >= index.threshold)


def _share(values: NDArray[np.float64]) -> Share:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return Share(float(values.mean()), float(error))


def _mean(parts: Sequence[NDArray[np.bool_]]) -> float | None:
    """The share of all that is true, None of nothing."""
    whole = np.concatenate(parts) if parts else np.zeros(0)
    return float(whole.mean()) if len(whole) else None
