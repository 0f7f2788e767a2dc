"""`veca-edge calibrate`: what each layer loses by fewer bits, and a recipe within a limit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from veca_edge.calibration.quantization.run import CalibrateRequest, calibrate
from veca_edge.cli.options import InputPath, RenamedOption, path_option
from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import Stages, say
from veca_edge.cli.quantization import limit_options
from veca_edge.photos.calibration import FEWEST, LEARN, MOST

if TYPE_CHECKING:
    from veca_edge.calibration.quantization.findings import Report, Whole
    from veca_edge.calibration.quantization.losses import Loss
    from veca_edge.calibration.quantization.sensitivity import SensitivityRow

EPILOG = """\b
Examples:
  veca-edge calibrate --data photos/                         # the model that comes with the package
  veca-edge calibrate veca.pt --data photos/ --plot layers.png
  veca-edge calibrate veca.pt --data photos/ --max-size 3MB --output recipe.json
  veca-edge calibrate veca.pt --data photos/ --max-drop 0.5% --output recipe.json
  veca-edge convert veca.pt --recipe recipe.json --data photos/

\b
photos/ holds images, or folders of images named after labels, perhaps in train/ (to learn from) and val/ (to
evaluate on). --max-drop holds for the mean cosine of embedding and features to float32, and with labels that
the model knows also for accuracy. Nothing is trained.
"""


@click.command("calibrate", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=InputPath())
@path_option(
    "--data",
    "images",
    cls=RenamedOption,
    was="--images",
    is_input=True,
    metavar="DIR",
    show_default="the packaged photos",
    help="Measure on the images in this folder.",
)
@limit_options(".pte")
@path_option("--output", "-o", help="Write the recipe to this JSON file.")
@click.option(
    "--photos",
    type=click.IntRange(min=1, max=100_000),
    metavar="N",
    show_default=f"{LEARN} to learn from, {FEWEST} to {MOST} by the model's cost to evaluate on",
    help="Use at most this many images to learn from, and as many to evaluate on.",
)
@click.option(
    "--cores",
    "budgets",
    cls=RenamedOption,
    was="--budgets",
    callback=parse_budgets,
    metavar="LIST",
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
    click.echo("\n".join(_lines(report)))
    click.echo(f"{'' if output is None else f'{output}: the recipe; '}{seconds:.1f} s")


def _lines(report: Report) -> Iterator[str]:
    cores = " and ".join(map(str, report.model["budgets"]))
    yield ""
    yield f"lost by one layer alone, in millionths of the mean cosine; {report.row_photos} photos, {cores} cores"
    yield f"{'layer':<18}      int8      int4      fp16"
    yield from _layer_lines(report.rows)
    yield ""
    yield from _whole_lines(report)
    yield ""
    yield _photos(report)
    if report.chosen is not None:
        yield from _chosen_lines(report, report.chosen)


def _layer_lines(rows: tuple[SensitivityRow, ...]) -> Iterator[str]:
    worst: dict[str, dict[str, float]] = {}
    for row in rows:
        kinds = worst.setdefault(row.layer, {})
        kinds[row.precision] = max(kinds.get(row.precision, 0.0), row.loss.fidelity)
    for layer, kinds in worst.items():
        cells = [
            f"{1e6 * kinds[kind]:10.3g}" if kind in kinds else f"{'-':>10}" for kind in ("int8", "int4", "fp16")
        ]
        yield f"{layer:<18}{''.join(cells)}"


def _whole_lines(report: Report) -> Iterator[str]:
    yield "recipe  weights MB  cores  embedding cosine  feature cosine  same top-1  accuracy lost, points"
    wholes = report.wholes if report.chosen is None else (*report.wholes, report.chosen)
    for whole in wholes:
        for loss in whole.losses:
            yield f"{whole.recipe.name:<6}  {whole.weight_bytes / 1e6:10.2f}  {_loss(loss)}"


def _loss(loss: Loss) -> str:
    same = f"{'-':>12}" if loss.changed is None else f"{100 * (1 - loss.changed):10.1f} %"
    lost = "-" if loss.accuracy is None else f"{100 * loss.accuracy:.2f} ± {100 * loss.error:.2f}"
    return f"{loss.cores:5}  {1 - loss.embedding:16.5f}  {1 - loss.features:14.5f}{same}  {lost:>21}"


def _chosen_lines(report: Report, chosen: Whole) -> Iterator[str]:
    recipe = chosen.recipe
    counts: dict[str, int] = {}
    for row in report.rows:
        if row.precision == "fp16" and row.loss.cores == report.model["budgets"][0]:  # once per layer
            kind = recipe.precision_of(row.layer)
            counts[kind] = counts.get(kind, 0) + 1
    layers = ", ".join(f"{count} in {kind}" for kind, count in counts.items())
    size = "" if report.file_bytes is None else f", a .pte of {report.file_bytes / 1e6:.2f} MB"
    lost = f"at most {100 * chosen.fidelity:.2f} % of the mean cosine lost"
    if report.accuracy is not None:
        lost += f" and {100 * max(loss.accuracy or 0.0 for loss in chosen.losses):.2f} points of accuracy"
    yield f"chosen: of the layers {layers}; {chosen.weight_bytes / 1e6:.2f} MB of weights{size}; {lost}"


def _photos(report: Report) -> str:
    learn, evaluate = report.photos["learn"], report.photos["evaluate"]
    labelled = " labelled" if evaluate["labelled"] else ""
    text = f"{learn['photos']} photos to learn from, {evaluate['photos']}{labelled} to evaluate on"
    text = f"{report.photos['source']}: {text}"
    return text + ("" if report.accuracy is None else f"; accuracy in float32 {_accuracy(report.accuracy)}")


def _accuracy(accuracy: Mapping[int, float]) -> str:
    return ", ".join(f"{100 * value:.1f} % at {cores} cores" for cores, value in accuracy.items())
