"""`veca-edge fit-head`: a frozen model learns labels from folders of photos, or to draw masks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.options import Count, InputPath, RenamedOption, moved_to_argument, path_option, unknown_option
from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import Stages, command_line, echo_lines, next_step, say
from veca_edge.cli.tables import certainty_lines, score_lines
from veca_edge.errors import VecaError, require
from veca_edge.numbers import counted
from veca_edge.photos.folders import HOLD_OUT

if TYPE_CHECKING:
    from veca_edge.training.heads.dense import FittedDense
    from veca_edge.training.heads.fitting import FittedHead
    from veca_edge.training.heads.metrics import Scores

TOP = 5
FEW = 100  # photos: with fewer, an expected calibration error over ten bins is mostly chance
EPILOG = f"""\b
Examples:
  veca-edge fit-head --data photos/ --output mine.pt       # on the packaged model
  veca-edge fit-head veca.pt --data photos/ --output mine.pt --plot confusion.png
  veca-edge fit-head --data people/ --task segmentation --output people.pt
  veca-edge fit-head --data photos/ --unknown street/ --output mine.pt   # when to say "not sure"
  veca-edge convert mine.pt                                # the result is an ordinary checkpoint

\b
photos/ holds train/LABEL/ and val/LABEL/, or just LABEL/: then one photo in {HOLD_OUT} is held out for
evaluation. people/ holds labels.txt (a class a line), and below train/ and val/ images/ and masks/ of the same
names (grey or palette PNG of class numbers, 255 ignored). For values such as depths it holds scale.txt ("0.001 m")
and values/ (16-bit PNG or .npy) in place of masks/. Folders of PASCAL VOC and COCO are read as they are.

\b
Features are kept in the cache folder: after an interruption the command continues where it was, and a second run
takes seconds.
"""


@click.command("fit-head", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=InputPath())
@click.option(
    "--data",
    required=True,
    type=InputPath(),
    metavar="DIR",
    help="Learn from the photos in this folder, which lie in folders named after their labels, or have masks.",
)
@click.option(
    "--task",
    type=click.Choice(("classification", "segmentation", "regression")),
    show_default="what the folder holds",
    help="Learn a label for an image, a class for every part of it, or a value such as a depth.",
)
@click.option(
    "--name",
    metavar="NAME",
    show_default="the folder's",
    help="Call a segmentation's or regression's results NAME; a head of that name is replaced, others stay.",
)
@click.option(
    "--cells",
    type=click.IntRange(1, 16),
    metavar="K",
    show_default="2",
    help="Give a segmentation or regression K x K results per patch; 1 is the linear probe of the literature.",
)
@moved_to_argument("--checkpoint", "CHECKPOINT")
@path_option("--output", "-o", required=True, help="Write the checkpoint here.")
@click.option(
    "--image-size",
    type=Count(min=1),
    show_default="the checkpoint's",
    help="Set the size of the model's input in pixels, a multiple of the patch size.",
)
@click.option(
    "--cores",
    "budgets",
    cls=RenamedOption,
    was="--budgets",
    callback=parse_budgets,
    metavar="N[,N…]|all",
    show_default="all",
    help="Fit the head to these core budgets, such as 8,16,64.",
)
@unknown_option("F")
@path_option(
    "--plot",
    help="Draw how often each label is mistaken for each other label (.png, .svg, .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(as_json: bool, checkpoint: Path | None, formerly_checkpoint: Path | None, **given: Any) -> None:
    """Teach a model your own labels or masks: fit one linear head for all core budgets; the model is not changed.

    CHECKPOINT holds the model; without it the one that comes with the package is used.

    Prints accuracy, calibration error, the weakest labels and the most frequent confusions; of masks the
    intersection over union of each class, of values their errors.
    """
    if checkpoint is not None and formerly_checkpoint is not None:
        raise VecaError("--checkpoint and CHECKPOINT both name a checkpoint: give one of them")
    for module in ("torch", "cv2"):
        require(module, "train")
    from veca_edge.training.heads.fitting import FittedHead
    from veca_edge.training.heads.run import FitRequest, fit

    outcome = fit(FitRequest(checkpoint=checkpoint or formerly_checkpoint, **given), say, Stages())
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
    else:
        fitted = outcome.fitted
        echo_lines(_lines(fitted) if isinstance(fitted, FittedHead) else dense_lines(fitted))
        echo_lines([f"{outcome.output}: {outcome.bytes / 1e6:.2f} MB, {outcome.seconds:.1f} s"])
        if given["plot"] is not None:
            say(f"wrote {given['plot']}")
        next_step(command_line("convert", outcome.output))


def dense_lines(fitted: FittedDense) -> Iterator[str]:
    yield ""
    yield from score_lines(fitted.points)
    yield ""
    yield (
        f"head {fitted.task.name}: {fitted.task.kind}, {fitted.task.cells} x {fitted.task.cells} cells a patch; "
        f"{fitted.train} photos to learn from in {fitted.views} views, {fitted.val} to evaluate on"
    )


def _lines(fitted: FittedHead) -> Iterator[str]:
    yield ""
    many = len(fitted.train.labels) > TOP  # of five labels the right one is always among the five likeliest
    previous = fitted.budgets[0].previous_top1 is not None
    yield (
        f"cores    top-1{'    top-5' if many else ''}  calibration error  (without temperature)"
        f"{'  top-1 of the previous head' if previous else ''}"
    )
    for quality in fitted.budgets:
        scores = quality.scores
        top5 = f"  {100 * scores.top5:5.1f} %" if many else ""
        before = "" if quality.previous_top1 is None else f"  {100 * quality.previous_top1:24.1f} %"
        yield (
            f"{quality.cores:5}  {100 * scores.top1:5.1f} %{top5}  "
            f"{100 * scores.ece:15.1f} %  {100 * quality.ece_before:19.1f} %{before}"
        )
    if len(fitted.val) < FEW:
        yield (
            f"{counted(len(fitted.val), 'photo')} to evaluate on: below {FEW} the calibration error says little, "
            f"and top-1 is uncertain by {100 * _spread(fitted):.0f} points"
        )
    yield ""
    for quality in dict.fromkeys((fitted.budgets[-1], fitted.budgets[0])):  # the largest and the smallest
        yield f"weakest labels at {quality.cores} cores: {_worst(quality.scores)}"
        if quality.scores.confusions:
            yield f"most frequent confusions at {quality.cores} cores: {_confusions(quality.scores)}"
    yield ""
    yield (
        f"{len(fitted.train.labels)} labels, {len(fitted.train)} photos to learn from, {len(fitted.val)} to "
        f"evaluate on, {fitted.checkpoint.preprocessing['image_size']} px, temperature {fitted.temperature:.2f}, "
        f"decay {fitted.choice.decay:g}"
    )
    if fitted.checkpoint.certainty is not None:
        yield from certainty_lines(fitted.checkpoint.certainty)
    if fitted.familiar and fitted.choice.top1 is not None:
        yield (
            f"{100 * fitted.choice.top1:.1f} % of photos held out from train were right, many more than of val: "
            "the model was trained on them, or train holds photos that are nearly the same"
        )


def _spread(fitted: FittedHead) -> float:
    """Two standard errors of the largest budget's top-1, at least that of one photo."""
    share, count = fitted.budgets[-1].scores.top1, len(fitted.val)
    error: float = (share * (1 - share) / count) ** 0.5
    return max(2 * error, 1 / count)


def _worst(scores: Scores) -> str:
    return ", ".join(f"{item.label} {item.right}/{item.photos}" for item in scores.worst)


def _confusions(scores: Scores) -> str:
    return ", ".join(f"{item.label} for {item.taken_for} ({item.count})" for item in scores.confusions)
