"""A model evaluated on a folder of photos with right answers, as one request asks for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import expanded, shortened
from veca_edge.image.preprocessing import check_whole_patches
from veca_edge.image.skipping import Say
from veca_edge.modelfile.heads import DenseTask, Kind
from veca_edge.numbers import counted
from veca_edge.photos.folders import read_labelled
from veca_edge.photos.masks import holds_masks, read_masked_split
from veca_edge.plotting import COLOURS, INK, check_picture, figure, title
from veca_edge.runtime.model import Model, load
from veca_edge.training.heads.dense_metrics import RegressionScores, SegmentationScores
from veca_edge.training.heads.evaluation import Point, PointScores, evaluate_classifier, evaluate_dense, find_task
from veca_edge.training.heads.metrics import Scores

PLOT_SIZE = (7.0, 4.2)  # inches


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate, on what.

    Attributes:
        model: a checkpoint, a .pte file or a Core ML package.
        data: a folder of photos in folders named after their labels, or with targets (`photos.masks`).
        head: which dense head; None for the only one of the targets' kind.
        budgets: core counts; None for all that the model offers.
        image_sizes: pixels; None for the model's own.
        threads: worker threads; None for the number of big cores.
        plot: a picture of the scores, or None.
    """

    model: Path
    data: Path
    head: str | None = None
    budgets: tuple[int, ...] | None = None
    image_sizes: tuple[int, ...] | None = None
    threads: int | None = None
    plot: Path | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is.

    Attributes:
        what: the model and the head, for people.
        photos: how many and which, for people.
        points: by image size, largest first, then by ascending core budget.
    """

    what: str
    photos: str
    points: tuple[PointScores, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"model": self.what, "photos": self.photos, "points": [point.to_dict() for point in self.points]}


def evaluate(
    request: EvaluateRequest, say: Say = lambda _: None, progress: Callable[[str, float], None] = lambda *_: None
) -> Evaluation:
    """Evaluate a model as asked for.

    Args:
        request: what to evaluate.
        say: receives lines about photos that are left out.
        progress: called with a stage's name and how much of it is done, 0..1.

    Raises:
        VecaError: a file that cannot be read, a budget or a size that the model does not offer, or data that the
            model has no head for.
    """
    plot = None if request.plot is None else check_picture(request.plot)
    folder = expanded(request.data)
    kind = holds_masks(folder)
    with load(request.model, threads=request.threads) as model:
        points = _points(model, request)
        step = partial(progress, "evaluating")
        if kind is None:
            photos = read_labelled(folder, say)
            count, what = len(photos), f"{model.name}, classifier of {counted(len(model.labels), 'label')}"
            found = evaluate_classifier(model, photos, points, say, step)
        else:
            masked, task = read_masked_split(folder, kind, say), _task(model, kind, request.head)
            count, what = len(masked.val), f"{model.name}, head {task.name}"
            found = evaluate_dense(model, task.name, masked, points, say, step)
    outcome = Evaluation(what, f"{counted(count, 'photo')} of {shortened(folder)}", found)
    if plot is not None:
        _draw(plot, outcome)
    return outcome


def _points(model: Model, request: EvaluateRequest) -> list[Point]:
    budgets = [model.check_budget(cores) for cores in request.budgets or model.budgets]
    sizes = request.image_sizes or (model.preprocessing.image_size,)
    for size in sizes:
        check_whole_patches(size, model.patch_size)
    return [Point(cores, size) for size in sorted(set(sizes), reverse=True) for cores in sorted(set(budgets))]


def _task(model: Model, kind: Kind, name: str | None) -> DenseTask:
    """The head of that name, or the only one of a kind."""
    if name is not None:
        return find_task(model, name)
    fitting = [task for task in model.tasks if task.kind == kind]
    if len(fitting) > 1:
        raise VecaError(
            f"{model.name} has several heads, {', '.join(t.name for t in fitting)}: choose one with --head"
        )
    return fitting[0] if fitting else find_task(model, kind)


def main_score(scores: Scores | SegmentationScores | RegressionScores) -> tuple[str, float]:
    """The name of the score that counts most, and its value: shares in percent."""
    if isinstance(scores, Scores):
        return "top-1 (%)", 100 * scores.top1
    if isinstance(scores, SegmentationScores):
        return "mean IoU (%)", 100 * scores.miou
    return "root mean square error", scores.rmse


def _draw(path: Path, outcome: Evaluation) -> None:
    """The main score against cores, a line per image size."""
    with figure(path, size=PLOT_SIZE) as (_, ((axis,),)):
        for colour, (size, line) in zip(itertools.cycle(COLOURS), _lines(outcome), strict=False):
            x, y = [point.point.cores for point in line], [main_score(point.scores)[1] for point in line]
            axis.plot(x, y, marker="o", color=colour, mec="white", label=f"{size} px")
        cores = sorted({point.point.cores for point in outcome.points})
        axis.set_xscale("log", base=2)
        axis.set_xticks(cores, [str(count) for count in cores])
        axis.set_xticks([], minor=True)
        axis.set_xlabel("cores", color=INK)
        axis.set_ylabel(main_score(outcome.points[0].scores)[0], color=INK)
        axis.legend(frameon=False)
        title(axis, f"{outcome.what}, {outcome.photos}")


def _lines(outcome: Evaluation) -> Iterator[tuple[int, list[PointScores]]]:
    for size in dict.fromkeys(point.point.image_size for point in outcome.points):
        yield size, [point for point in outcome.points if point.point.image_size == size]
