"""A new head from folders of photos to a checkpoint, as one request asks for it: for images, or for every patch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from veca_edge.errors import VecaError
from veca_edge.files import check_checkpoint_target, expanded, same_file
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, read_checkpoint, write_checkpoint
from veca_edge.modelfile.heads import check_head_name, head_name
from veca_edge.photos.folders import read_folder
from veca_edge.photos.masks import holds_masks, read_masked_folder
from veca_edge.photos.unknown import read_unknown
from veca_edge.plotting import check_picture
from veca_edge.training.heads.confusion import draw_confusion
from veca_edge.training.heads.dense import FittedDense, fit_dense
from veca_edge.training.heads.fitting import FittedHead, fit_head

Task = Literal["classification", "segmentation", "regression"]
CELLS = 2  # along a patch's side: as good as 4 on photos of people, for a quarter of the work


@dataclass(frozen=True)
class FitRequest:
    """Which model learns which labels, and where the result goes.

    Attributes:
        data: a folder of photos, see `photos.folders.read_folder`, or with targets, see `photos.masks`.
        output: the checkpoint to write.
        checkpoint: the model; None for the packaged one.
        image_size: pixels; None for the checkpoint's.
        budgets: core counts to serve; None for the model's.
        plot: a picture of the confusions, or None; of a classifier.
        task: what the head says: a label for an image, or a class or a value everywhere in it; None for what the
            data's folders hold.
        name: of a dense head; None for the data folder's.
        cells: of a dense head, along a patch's side; None for `CELLS`.
        unknown: a folder of photos of things without a label, see `photos.unknown`; of a classifier.
    """

    data: Path
    output: Path
    checkpoint: Path | None = None
    image_size: int | None = None
    budgets: tuple[int, ...] | None = None
    plot: Path | None = None
    task: Task | None = None
    name: str | None = None
    cells: int | None = None
    unknown: Path | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_head_name(self.name)

    @property
    def kind(self) -> Task:
        """What the head says."""
        return self.task or holds_masks(expanded(self.data)) or "classification"

    def check(self) -> None:
        """Raise a VecaError if options contradict the task."""
        only = {"--name": self.name, "--cells": self.cells}
        given = [option for option, value in only.items() if value is not None]
        if self.kind == "classification" and given:
            raise VecaError(f"{given[0]} is for --task segmentation or regression: leave it out")
        if self.kind != "classification" and self.unknown is not None:
            raise VecaError("--unknown is for --task classification: leave it out")
        if self.kind != "classification" and self.plot is not None:
            raise VecaError(f"--plot is for --task classification: `veca-edge evaluate --plot` draws a {self.kind}")

    def targets(self) -> tuple[Path, Path | None]:
        """Where the checkpoint and the picture go.

        Raises:
            VecaError: they cannot go there, or would overwrite the model or each other.
        """
        output = check_checkpoint_target(self.output)
        if self.checkpoint is not None and same_file(output, self.checkpoint):
            raise VecaError(f"{output} is the checkpoint itself: choose another --output")
        plot = None if self.plot is None else check_picture(self.plot)
        if plot is not None and same_file(plot, output):
            raise VecaError(f"--plot and --output both name {output}: choose two names")
        return output, plot


@dataclass(frozen=True, eq=False)
class FitOutcome:
    """A fitted head and the file that holds it.

    Attributes:
        fitted: the checkpoint with its new head, and how good it is; a classifier or a dense head.
        output: where it was written.
        bytes: size of that file.
        seconds: from the first photo to the end.
    """

    fitted: FittedHead | FittedDense
    output: Path
    bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        facts = {"output": str(self.output), "bytes": self.bytes, "seconds": round(self.seconds, 2)}
        return facts | self.fitted.to_dict()


def fit(
    request: FitRequest, say: Say = lambda _: None, progress: Callable[[str, float], None] = lambda *_: None
) -> FitOutcome:
    """Fit a head as asked for, and write it.

    Args:
        request: what to fit.
        say: receives lines about photos that are left out.
        progress: called with a stage's name and how much of it is done, 0..1.

    Raises:
        VecaError: a file that cannot be read or written, or what `fit_head` refuses.
    """
    start = perf_counter()
    output, plot = request.targets()
    request.check()
    source = read_checkpoint(request.checkpoint or default_checkpoint_path())
    try:
        fitted = _fitted(request, source, say, progress)
    except KeyboardInterrupt:
        say("features computed so far are kept: the same command continues from there")
        raise
    write_checkpoint(fitted.checkpoint, output)
    if plot is not None and isinstance(fitted, FittedHead):
        _draw(plot, fitted)
    return FitOutcome(fitted, output, output.stat().st_size, perf_counter() - start)


def _fitted(
    request: FitRequest, source: Checkpoint, say: Say, progress: Callable[[str, float], None]
) -> FittedHead | FittedDense:
    if request.kind == "classification":
        splits = read_folder(request.data, say)
        unknown = None if request.unknown is None else read_unknown(request.unknown, splits.train.labels, say)
        return fit_head(source, splits, request.image_size, request.budgets, say, progress, unknown)
    photos = read_masked_folder(request.data, request.kind, say)
    name = request.name or head_name(expanded(request.data).resolve().name)
    cells = CELLS if request.cells is None else request.cells
    return fit_dense(source, photos, name, cells, request.image_size, request.budgets, say, progress)


def _draw(path: Path, fitted: FittedHead) -> None:
    largest = fitted.budgets[-1]
    title = (
        f"{len(fitted.val)} photos, {largest.cores} cores, {fitted.checkpoint.preprocessing['image_size']} px: "
        f"{100 * largest.scores.top1:.1f} % correct\n(shares per row in %)"
    )
    draw_confusion(path, largest.scores.answers, fitted.val.targets, fitted.val.labels, title)
