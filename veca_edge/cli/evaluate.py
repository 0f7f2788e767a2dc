"""`veca-edge evaluate`: how good a model is, on photos with right answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from veca_edge.cli.options import InputPath, path_option, threads_option
from veca_edge.cli.parsing import parse_budgets, parse_sizes
from veca_edge.cli.progress import Stages, echo_lines, say
from veca_edge.cli.tables import few_shot_lines, score_lines
from veca_edge.errors import VecaError, require

EPILOG = """\b
Examples:
  veca-edge evaluate people.pt --data people/                  # a head's mean IoU at every core budget
  veca-edge evaluate veca.pte --data photos/ --cores 8,64      # a classifier's top-1
  veca-edge evaluate people.pte --data people/ --image-size 128,256,384 --plot people.png
  veca-edge evaluate veca.pte --data photos/ --few-shot        # things named by a few examples, never trained

\b
The folder's val/ is used if there is one, else all of it. Photos lie in folders named after their labels, or in
images/ with masks/ or values/ beside it, as for `veca-edge fit-head`.
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("model", required=False, type=InputPath())
@path_option("--data", is_input=True, required=True, metavar="DIR", help="Evaluate on the photos in this folder.")
@click.option(
    "--head",
    metavar="NAME",
    show_default="the only one of that kind",
    help="Evaluate this dense head, of a model that has several.",
)
@click.option(
    "--cores",
    "budgets",
    callback=parse_budgets,
    metavar="N[,N…]|all",
    show_default="all",
    help="Evaluate at these core budgets, such as 8,64.",
)
@click.option(
    "--image-size",
    "image_sizes",
    callback=parse_sizes,
    metavar="N[,N…]",
    show_default="the model's",
    help="Evaluate at these sizes of the model's input in pixels.",
)
@threads_option()
@click.option(
    "--few-shot",
    is_flag=True,
    help="Measure how well labels are recognised by 1, 5 and 10 examples of each, as `teach` does it: learned with "
    "all cores, asked with 8, 16, 32 and 64 or those of --cores.",
)
@click.option(
    "--teacher",
    metavar="MODULE:FUNCTION|FILE",
    help="With --few-shot: compare with this model's features, an exported program (.pt2), say.",
)
@path_option("--plot", help="Draw the scores over core budgets and sizes (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def command(as_json: bool, few_shot: bool, teacher: str | None, model: Path | None, **given: Any) -> None:
    """Evaluate a model on photos with right answers, at every core budget.

    MODEL is a checkpoint, a .pte file or a Core ML package; without it the one that comes with the package is used.

    Prints top-1 and calibration error of a classifier, the intersection over union of each class of a segmentation,
    or the errors of a regression.
    """
    require("cv2", "run")
    require("torch", "run")
    from veca_edge.calibration.quality.evaluate import EvaluateRequest, evaluate
    from veca_edge.conversion.default import default_model_path

    if few_shot:
        _few_shot(as_json, teacher, model, **given)
        return
    if teacher is not None:
        raise VecaError("--teacher is for --few-shot: leave it out")
    outcome = evaluate(EvaluateRequest(model or default_model_path(say), **given), say, Stages())
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
        return
    echo_lines([f"{outcome.what} on {outcome.photos}", *score_lines(outcome.points)])
    if given["plot"] is not None:
        say(f"wrote {Path(given['plot'])}")


def _few_shot(
    as_json: bool,
    teacher: str | None,
    model: Path | None,
    data: Path,
    head: str | None,
    budgets: tuple[int, ...] | None,
    image_sizes: tuple[int, ...] | None,
    threads: int | None,
    plot: Path | None,
) -> None:
    from veca_edge.calibration.quality.few_shot import FewShotRequest, evaluate_few_shot
    from veca_edge.conversion.default import default_model_path

    if head is not None or plot is not None or len(image_sizes or ()) > 1:
        raise VecaError("--few-shot takes no --head, no --plot and one --image-size: leave the others out")
    size = image_sizes[0] if image_sizes else None
    request = FewShotRequest(model or default_model_path(say), data, budgets, size, threads, teacher)
    outcome = evaluate_few_shot(request, say, Stages())
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
        return
    echo_lines(few_shot_lines(outcome))
