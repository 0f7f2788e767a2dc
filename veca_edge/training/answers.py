"""A teacher's answers to training views: computed at every step, or once before training and kept in a file.

On a CPU a convolutional teacher costs as much as a small student's step, a kept answer only a look-up: there is a
fixed set of crops of each photo, turned or not, and every step draws one of them. Colours, mirroring, mixing and
flaws stay free: an answer is assumed to be the same in other colours and without the blur, noise or hole that the
student sees; it is mirrored with a mirrored view, and mixed with mixed views.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.files import replacing
from veca_edge.photos.store import PhotoStore
from veca_edge.training.losses import resize_grid
from veca_edge.training.schedule import KEPT, SAMPLE, draws
from veca_edge.training.settings import Recipe
from veca_edge.training.teachers import Teacher, TeacherOutput, ask
from veca_edge.training.views import Views, crop, draw_views, half_mirrored, normalise, own_shares, render, resized
from veca_edge.training.world import Autocast

SAMPLES = 256  # views from which statistics of the teacher are computed
AT_ONCE = 64
SMALLEST = 1e-8  # probability of a label
FIELDS = ("box", "angle", *TeacherOutput._fields)
LAYOUT = [(np.dtype(kind), axes) for kind, axes in (("f4", 1), ("f4", 0), ("f2", 1), ("f2", 2), ("f2", 1))]
HALF = float(torch.finfo(torch.half).max)
Progress = Callable[[float], None]


class Answers(Protocol):
    """What training needs of a teacher."""

    def seen(self, chosen: Tensor, views: Views, generator: np.random.Generator) -> Views:
        """The views of a batch, changed to views for which there are answers."""

    def answer(self, images: Tensor, chosen: Tensor, views: Views, part: slice) -> TeacherOutput:
        """The answers to one part of a batch, images (b, 3, H, H) in 0..1."""

    def sample(self) -> TeacherOutput:
        """The answers to some views, for widths and statistics."""


class LiveAnswers:
    """Answers that are computed at every step, from the very images that the student sees."""

    def __init__(
        self, teacher: Teacher, photos: PhotoStore, recipe: Recipe, autocast: Autocast, device: torch.device
    ):
        self._teacher, self._photos, self._recipe = teacher, photos, recipe
        self._autocast, self._device = autocast, device

    def seen(self, chosen: Tensor, views: Views, generator: np.random.Generator) -> Views:
        """The views as they are."""
        return views

    def answer(self, images: Tensor, chosen: Tensor, views: Views, part: slice) -> TeacherOutput:
        """See `Answers`."""
        return _ask(self._teacher, images, self._recipe, self._autocast)

    def sample(self) -> TeacherOutput:
        """See `Answers`."""
        generator = draws(self._recipe.seed, SAMPLE, 0)
        rows = torch.from_numpy(generator.permutation(len(self._photos))[:SAMPLES]).to(self._photos.pixels.device)
        views = draw_views(len(rows), self._recipe.augment.unmixed(), generator)
        size, answers = self._recipe.phases[0].sizes[0], []
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            images, _ = render(self._photos, rows, views, part, size, self._device)
            answers.append(self.answer(images, rows, views, part))
        parts = (torch.cat(values) for values in zip(*answers, strict=True) if all(v is not None for v in values))
        return TeacherOutput(*parts)


class KeptAnswers:
    """Answers to a fixed set of views, in a file that is mapped into memory.

    The file holds (n, V) rows: the crop's `box` (4,) and `angle`, and in half precision `embedding` (E,),
    `features` (N, F) on the grid of the largest image that is trained (or the teacher's own, if that is
    coarser) and `logits` (K,), K = 0 without.
    """

    def __init__(self, path: Path, photos: int, recipe: Recipe, device: torch.device) -> None:
        """Open what `keep_answers` wrote.

        Args:
            path: the file.
            photos: n.
            recipe: the one that it was made with.
            device: where answers are returned.

        Raises:
            VecaError: it cannot be read, or belongs to other photos or another recipe.
        """
        self._rows = _mapped(path, (photos, recipe.teacher.views))
        self._boxes: Float = np.ascontiguousarray(self._rows["box"])
        self._angles: Float = np.ascontiguousarray(self._rows["angle"])
        self._augment, self._device = recipe.augment, device

    def seen(self, chosen: Tensor, views: Views, generator: np.random.Generator) -> Views:
        """The same colours and mixing, of crops for which there are answers, mirrored or not."""
        rows = chosen.cpu().numpy()
        picks = generator.integers(self._boxes.shape[1], size=len(rows))
        boxes = half_mirrored(self._boxes[rows, picks], self._augment, generator)
        angles = self._angles[rows, picks]
        # What is mirrored after it was turned is turned the other way after it was mirrored.
        angles = np.where(boxes[:, 0] > boxes[:, 2], -angles, angles)
        return replace(views, boxes=boxes, angles=angles, picks=picks)

    def answer(self, images: Tensor, chosen: Tensor, views: Views, part: slice) -> TeacherOutput:
        """See `Answers`; answers to mixed views are mixed."""
        rows, mine = chosen.cpu().numpy(), views[part]
        own, mixed = self._look_up(rows[part], mine), np.flatnonzero(mine.shares < 1)
        if not len(mixed):
            return own
        partners, here = mine.partners[mixed], torch.from_numpy(mixed).to(self._device)
        other = self._look_up(rows[partners], views[partners])
        side = math.isqrt(own.features.shape[1])
        cells = own_shares(mine[mixed], side, self._device).expand(-1, 1, side, side).flatten(2).transpose(1, 2)
        share = cells.mean(1)
        own.embedding[here] = share * own.embedding[here] + (1 - share) * other.embedding
        own.features[here] = cells * own.features[here] + (1 - cells) * other.features
        if own.logits is None or other.logits is None:
            return own
        shares = own.logits.softmax(-1)
        shares[here] = share * shares[here] + (1 - share) * other.logits.softmax(-1)
        return own._replace(logits=shares.clamp(min=SMALLEST).log())

    def sample(self) -> TeacherOutput:
        """See `Answers`."""
        rows = np.linspace(0, len(self._rows) - 1, SAMPLES).astype(np.int64)
        return self._output(self._rows[rows, np.arange(SAMPLES) % self._rows.shape[1]])

    def _look_up(self, rows: NDArray[np.int64], views: Views) -> TeacherOutput:
        said = self._output(self._rows[rows, views.picks])
        mirrored = torch.from_numpy(views.boxes[:, 0] > views.boxes[:, 2]).to(self._device)
        side = math.isqrt(said.features.shape[1])
        grid = said.features.unflatten(1, (side, side))
        features = torch.where(mirrored[:, None, None, None], grid.flip(2), grid).flatten(1, 2)
        return said._replace(features=features)

    def _output(self, rows: NDArray[Any]) -> TeacherOutput:
        fields = (np.ascontiguousarray(rows[name], np.float32) for name in TeacherOutput._fields)
        embedding, features, logits = (torch.from_numpy(values).to(self._device) for values in fields)
        return TeacherOutput(embedding, features, logits if logits.shape[1] else None)


def keep_answers(
    path: Path,
    teacher: Teacher,
    photos: PhotoStore,
    recipe: Recipe,
    autocast: Autocast,
    device: torch.device,
    report: Progress = lambda _: None,
) -> None:
    """Run a teacher on `recipe.teacher.views` crops of every photo, and write its answers.

    The crops have the teacher's own size and the photos' own colours.

    Raises:
        VecaError: the teacher fails, or the file cannot be written.
    """
    crops = kept_crops(len(photos), recipe)
    npy: Any = np.lib.format  # has types in some versions of numpy only
    try:
        # Written piece by piece: a full disk is an error here, and a crash under a mapped file.
        with replacing(path) as part, part.open("xb") as stream:
            for start in range(0, len(photos), AT_ONCE):
                here = slice(start, min(start + AT_ONCE, len(photos)))
                pixels, (boxes, angles) = photos.pixels[here].to(device), (part[here] for part in crops)
                rows = _kept_rows(teacher, pixels, boxes, angles, recipe, autocast)
                if not start:
                    kind = npy.dtype_to_descr(rows.dtype)
                    header = {"descr": kind, "fortran_order": False, "shape": crops[1].shape}
                    npy.write_array_header_1_0(stream, header)
                stream.write(rows.tobytes())
                report(here.stop / len(photos))
    except OSError as error:
        raise VecaError(f"{path}: cannot be written: {error.strerror or error}") from error


def kept_crops(photos: int, recipe: Recipe) -> tuple[Float, Float]:
    """Boxes (n, V, 4), unmirrored, and angles (n, V) of the crops that are kept, float32."""
    generator = draws(recipe.seed, KEPT, 0)
    count = photos * recipe.teacher.views
    views = draw_views(count, replace(recipe.augment, mirror=False), generator)
    shape = (photos, recipe.teacher.views)
    return views.boxes.reshape(*shape, 4), views.angles.reshape(shape)


def _kept_rows(
    teacher: Teacher, pixels: Tensor, boxes: Float, angles: Float, recipe: Recipe, autocast: Autocast
) -> NDArray[Any]:
    """The rows of some photos (b, 3, S, S), from the boxes (b, V, 4) and angles (b, V) of their crops."""
    largest = recipe.train_sizes[-1]
    size, grid = recipe.teacher.image_size or largest, largest // recipe.model.patch_size
    columns = []
    for view in range(boxes.shape[1]):
        said = _ask(teacher, crop(pixels, boxes[:, view], size, angles[:, view]), recipe, autocast)
        features = resize_grid(said.features, min(said.features.shape[1], grid**2))
        logits = said.embedding.new_empty(len(pixels), 0) if said.logits is None else said.logits
        columns.append(
            [value.clamp(-HALF, HALF).half().cpu().numpy() for value in (said.embedding, features, logits)]
        )
    values = (boxes, angles, *(np.stack(parts, 1) for parts in zip(*columns, strict=True)))
    kinds = [(name, value.dtype, value.shape[2:]) for name, value in zip(FIELDS, values, strict=True)]
    rows = np.empty(boxes.shape[:2], kinds)
    for name, value in zip(FIELDS, values, strict=True):
        rows[name] = value
    return rows


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy's header parser raises whatever the damage leads to
        raise VecaError(f"{path} cannot be read: {shown(str(error), 80)}; start over with --resume never") from None
    kinds = [rows.dtype[name] for name in FIELDS] if rows.dtype.names == FIELDS else []
    layout = [(kind.base, len(kind.shape)) for kind in kinds]
    if rows.shape != shape or layout != LAYOUT or kinds[0].shape != (4,):
        raise VecaError(f"{path} belongs to other photos or another recipe: start over with --resume never")
    return rows


def _ask(teacher: Teacher, images: Tensor, recipe: Recipe, autocast: Autocast) -> TeacherOutput:
    with torch.no_grad(), autocast():
        return ask(teacher, resized(normalise(images), recipe.teacher.image_size))
