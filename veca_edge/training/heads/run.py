"""A new head from folders of photos to a checkpoint, as one request asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import check_checkpoint_target, same_file
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint, write_checkpoint
from veca_edge.photos.folders import read_folder
from veca_edge.plotting import check_picture
from veca_edge.training.heads.confusion import draw_confusion
from veca_edge.training.heads.fitting import FittedHead, fit_head


@dataclass(frozen=True)
class FitRequest:
    """Which model learns which labels, and where the result goes.

    Attributes:
        data: a folder of photos, see `photos.folders.read_folder`.
        output: the checkpoint to write.
        checkpoint: the model; None for the packaged one.
        image_size: pixels; None for the checkpoint's.
        budgets: core counts to serve; None for the model's.
        plot: a picture of the confusions, or None.
    """

    data: Path
    output: Path
    checkpoint: Path | None = None
    image_size: int | None = None
    budgets: tuple[int, ...] | None = None
    plot: Path | None = None

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
        fitted: the checkpoint with its new head, and how good it is.
        output: where it was written.
        bytes: size of that file.
        seconds: from the first photo to the end.
    """

    fitted: FittedHead
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
    source = read_checkpoint(request.checkpoint or default_checkpoint_path())
    splits = read_folder(request.data, say)
    try:
        fitted = fit_head(source, splits, request.image_size, request.budgets, say, progress)
    except KeyboardInterrupt:
        say("features computed so far are kept: the same command continues from there")
        raise
    write_checkpoint(fitted.checkpoint, output)
    if plot is not None:
        _draw(plot, fitted)
    return FitOutcome(fitted, output, output.stat().st_size, perf_counter() - start)


def _draw(path: Path, fitted: FittedHead) -> None:
    largest = fitted.budgets[-1]
    title = (
        f"{len(fitted.val)} photos, {largest.cores} cores, {fitted.checkpoint.preprocessing['image_size']} px: "
        f"{100 * largest.scores.top1:.1f} % correct (shares per row in %)"
    )
    draw_confusion(path, largest.scores.answers, fitted.val.targets, fitted.val.labels, title)
