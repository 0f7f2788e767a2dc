"""`veca-edge fit-head`: a frozen model learns new labels from folders of photos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import Stages, say
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file
from veca_edge.plotting import check_picture

if TYPE_CHECKING:
    from veca_edge.training.heads.fitting import FittedHead
    from veca_edge.training.heads.metrics import Judgement

EPILOG = """\b
Examples:
  veca-edge fit-head --data photos/ --output mine.pt       # on the model that comes with the package
  veca-edge fit-head --data photos/ --checkpoint veca.pt --output mine.pt --plot confusion.png
  veca-edge convert mine.pt                                # takes the result straight away

\b
photos/ holds train/LABEL/ and val/LABEL/, or just LABEL/: then one photo in ten is held out to judge by. What the
model sees of each photo is kept in the cache folder: interrupt the command as you like, and a second run takes
seconds.
"""


@click.command("fit-head", epilog=EPILOG)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Photos in folders named after their labels.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The model; by default the one that comes with the package.",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The checkpoint to write.",
)
@click.option("--image-size", type=click.IntRange(min=1), metavar="N", help="Pixels; the checkpoint's by default.")
@click.option(
    "--budgets", callback=parse_budgets, metavar="LIST|all", help="Core budgets to serve; the model's by default."
)
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw which labels are taken for which."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    data: Path,
    checkpoint: Path | None,
    output: Path,
    image_size: int | None,
    budgets: tuple[int, ...] | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Teach a model your own labels: one linear head for all core budgets, the model itself stays as it is.

    Prints accuracy, calibration, the weakest labels and the most frequent confusions, and writes a checkpoint.
    """
    start = perf_counter()
    output, plot = _targets(checkpoint, output, plot)
    for module in ("torch", "cv2"):
        require(module, "train")
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint, write_checkpoint
    from veca_edge.photos.folders import read_folder
    from veca_edge.training.heads.fitting import fit_head

    source = read_checkpoint(checkpoint or default_checkpoint_path())
    splits = read_folder(data, say)
    stages = Stages() if not as_json else lambda stage, done: None
    try:
        fitted = fit_head(source, splits, image_size, budgets, say, stages)
    except KeyboardInterrupt:
        say("what was computed is kept: the same command goes on from there")
        raise
    write_checkpoint(fitted.checkpoint, output)
    if plot is not None:
        _draw(plot, fitted)
    size, seconds = output.stat().st_size, perf_counter() - start
    if as_json:
        facts = {"output": str(output), "bytes": size, "seconds": round(seconds, 2)}
        click.echo(json.dumps(facts | fitted.to_dict(), indent=2))
    else:
        click.echo("\n".join(_lines(fitted)))
        click.echo(f"{output}: {size / 1e6:.2f} MB, {seconds:.1f} s")


def _targets(checkpoint: Path | None, output: Path, plot: Path | None) -> tuple[Path, Path | None]:
    """Where the checkpoint and the picture go, refused before any work if they cannot go there."""
    output = check_target(output)
    if checkpoint is not None and same_file(output, checkpoint):
        raise VecaError(f"{output} is the checkpoint itself: name another --output")
    if plot is None:
        return output, None
    plot = check_picture(plot)
    if same_file(plot, output):
        raise VecaError(f"--plot and --output are the same file: {output}")
    return output, plot


def _draw(path: Path, fitted: FittedHead) -> None:
    from veca_edge.training.heads.confusion import draw_confusion

    largest = fitted.budgets[-1]
    title = (
        f"{len(fitted.val)} photos, {largest.cores} cores, {fitted.checkpoint.preprocessing['image_size']} px: "
        f"{100 * largest.judged.top1:.1f} % right (shares per row in %)"
    )
    draw_confusion(path, largest.judged.answers, fitted.val.targets, fitted.val.labels, title)


def _lines(fitted: FittedHead) -> Iterator[str]:
    yield ""
    yield "cores    top-1    top-5  calibration error  (without temperature)" + (
        "  top-1 of the head before" if fitted.budgets[0].previous_top1 is not None else ""
    )
    for quality in fitted.budgets:
        judged = quality.judged
        before = "" if quality.previous_top1 is None else f"  {100 * quality.previous_top1:22.1f} %"
        yield (
            f"{quality.cores:5}  {100 * judged.top1:5.1f} %  {100 * judged.top5:5.1f} %  "
            f"{100 * judged.ece:15.1f} %  {100 * quality.ece_before:19.1f} %{before}"
        )
    yield ""
    yield from _weak_points(fitted)
    yield (
        f"{len(fitted.train.labels)} labels, {len(fitted.train)} photos to learn from, {len(fitted.val)} to judge "
        f"by, {fitted.checkpoint.preprocessing['image_size']} px, temperature {fitted.temperature:.2f}, "
        f"decay {fitted.choice.decay:g}"
    )
    if fitted.familiar and fitted.choice.top1 is not None:
        yield (
            f"of photos held out from train {100 * fitted.choice.top1:.1f} % were right, many more than of val: "
            "the model was trained on them, or train holds many nearly alike"
        )


def _weak_points(fitted: FittedHead) -> Iterator[str]:
    """The weakest labels and the most frequent confusions at the largest and the smallest budget."""
    for quality in dict.fromkeys((fitted.budgets[-1], fitted.budgets[0])):
        yield f"weakest labels at {quality.cores} cores: {_worst(quality.judged)}"
        if quality.judged.confusions:
            yield f"taken for another at {quality.cores} cores: {_confusions(quality.judged)}"
    yield ""


def _worst(judged: Judgement) -> str:
    return ", ".join(f"{item.label} {item.right}/{item.photos}" for item in judged.worst)


def _confusions(judged: Judgement) -> str:
    return ", ".join(f"{item.label} for {item.taken_for} ({item.count})" for item in judged.confusions)
