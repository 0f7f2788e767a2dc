"""`veca-edge calibrate`: what each layer loses by fewer bits, and a recipe within a limit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from veca_edge.calibration.quantization.run import CalibrateRequest, calibrate
from veca_edge.cli.options import Count, InputPath, RenamedOption, images_option, path_option
from veca_edge.cli.parsing import parse_some_budgets
from veca_edge.cli.progress import Stages, command_line, echo_lines, next_step, say
from veca_edge.cli.quantization import limit_options
from veca_edge.photos.calibration import FEWEST, LEARN, MOST
from veca_edge.tables import Table, number

if TYPE_CHECKING:
    from veca_edge.calibration.quantization.findings import Report, Whole
    from veca_edge.calibration.quantization.losses import Loss

EPILOG = """\b
Examples:
  veca-edge calibrate --data photos/                         # the model that comes with the package
  veca-edge calibrate veca.pt --data photos/ --plot layers.png
  veca-edge calibrate veca.pt --data photos/ --max-size 3MB --output recipe.json
  veca-edge calibrate veca.pt --data photos/ --max-drop 0.5% --output recipe.json
  veca-edge convert veca.pt --recipe recipe.json --data photos/

\b
photos/ holds images, or folders of images named after labels, perhaps in train/ (to learn from) and val/ (to
evaluate on). Nothing is trained.
"""
KINDS = ("int8", "int4", "fp16")
WHOLE_COLUMNS = (
    *("recipe", "weights MB", "cores", "embedding cosine", "feature cosine", "same top-1"),
    "accuracy lost, points",
)


@click.command("calibrate", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=InputPath())
@images_option(
    show_default="the packaged photos",
    help="Measure on the images in this folder.",
)
@limit_options(".pte")
@path_option("--output", "-o", help="Write the recipe to this JSON file.")
@click.option(
    "--photos",
    type=Count(min=1, max=100_000),
    show_default=f"{LEARN} to learn from, {FEWEST} to {MOST} by the model's cost to evaluate on",
    help="Use at most this many images to learn from, and as many to evaluate on.",
)
@click.option(
    "--cores",
    "budgets",
    cls=RenamedOption,
    was="--budgets",
    callback=parse_some_budgets,
    metavar="N[,N…]",
    show_default="the smallest and the largest",
    help="Measure at these core budgets, such as 8,64.",
)
@path_option("--plot", help="Draw what each layer loses (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """Measure what each linear layer loses at int8, int4 and float16, and choose a recipe within a limit.

    CHECKPOINT is a checkpoint in the published format; without it the one that comes with the package is used.
    """
    start = perf_counter()
    request = CalibrateRequest(**given)
    report = calibrate(request, say, (lambda stage, done: None) if as_json else Stages())
    output, _ = request.targets()
    seconds = perf_counter() - start
    if as_json:
        facts = {"output": None if output is None else str(output), "seconds": round(seconds, 2)}
        click.echo(json.dumps(facts | report.to_dict(), indent=2))
        return
    echo_lines(_lines(report))
    echo_lines([f"{'' if output is None else f'{output}: the recipe; '}{seconds:.1f} s"])
    if request.plot is not None:
        say(f"wrote {request.plot}")
    if output is not None:
        next_step(command_line("convert", request.checkpoint, "--recipe", output))


def _lines(report: Report) -> Iterator[str]:
    yield ""
    yield from _layer_table(report).lines()
    yield ""
    wholes = report.wholes if report.chosen is None else (*report.wholes, report.chosen)
    cells = tuple(tuple(_loss_cells(whole, loss)) for whole in wholes for loss in whole.losses)
    yield from Table(WHOLE_COLUMNS, cells, words=1).lines()
    yield ""
    yield _photos(report)
    if report.chosen is not None:
        yield _choice(report, report.chosen)


def _layer_table(report: Report) -> Table:
    """What each layer loses at the budget where it loses most."""
    worst: dict[str, dict[str, float]] = {}
    for row in report.rows:
        kinds = worst.setdefault(row.layer, {})
        kinds[row.precision] = max(kinds.get(row.precision, 0.0), 1e6 * row.loss.fidelity)
    cells = tuple((layer, *(number(kinds.get(kind), ".3g") for kind in KINDS)) for layer, kinds in worst.items())
    cores = " and ".join(map(str, report.model["budgets"]))
    title = f"lost by one layer alone, in millionths of the mean cosine; {report.row_photos} photos, {cores} cores"
    return Table(("layer", *KINDS), cells, title, words=1)


def _loss_cells(whole: Whole, loss: Loss) -> Iterator[str]:
    yield from (whole.recipe.name, f"{whole.weight_bytes / 1e6:.2f}", str(loss.cores))
    yield from (f"{1 - loss.embedding:.5f}", f"{1 - loss.features:.5f}")
    yield number(None if loss.changed is None else 100 * (1 - loss.changed), ".1f", " %")
    yield "-" if loss.accuracy is None else f"{100 * loss.accuracy:.2f} ± {100 * loss.error:.2f}"


def _choice(report: Report, chosen: Whole) -> str:
    counts = Counter(map(chosen.recipe.precision_of, dict.fromkeys(row.layer for row in report.rows)))
    layers = ", ".join(f"{count} in {kind}" for kind, count in counts.items())
    size = "" if report.file_bytes is None else f", a .pte of {report.file_bytes / 1e6:.2f} MB"
    lost = f"at most {100 * chosen.fidelity:.2f} % of the mean cosine lost"
    if report.accuracy is not None:
        lost += f" and {100 * max(loss.accuracy or 0.0 for loss in chosen.losses):.2f} points of accuracy"
    return f"chosen: of the layers {layers}; {chosen.weight_bytes / 1e6:.2f} MB of weights{size}; {lost}"


def _photos(report: Report) -> str:
    learn, evaluate = report.photos["learn"], report.photos["evaluate"]
    labelled = " labelled" if evaluate["labelled"] else ""
    text = f"{learn['photos']} photos to learn from, {evaluate['photos']}{labelled} to evaluate on"
    known = report.accuracy or {}
    accuracy = ", ".join(f"{100 * value:.1f} % at {cores} cores" for cores, value in known.items())
    return f"{report.photos['source']}: {text}" + (accuracy and f"; accuracy in float32 {accuracy}")
