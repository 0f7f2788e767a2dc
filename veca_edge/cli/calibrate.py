"""`veca-edge calibrate`: which layers lose what by fewer bits, and a recipe within a budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import Stages, say
from veca_edge.cli.quantization import check_limits, limit_options
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file
from veca_edge.plotting import check_picture

if TYPE_CHECKING:
    from veca_edge.calibration.quantization.findings import Report, Whole
    from veca_edge.calibration.quantization.losses import Loss
    from veca_edge.calibration.quantization.sensitivity import SensitivityRow

EPILOG = """\b
Examples:
  veca-edge calibrate --images photos/                         # the model that comes with the package
  veca-edge calibrate veca.pt --images photos/ --plot layers.png
  veca-edge calibrate veca.pt --images photos/ --max-size 3MB --output recipe.json
  veca-edge calibrate veca.pt --images photos/ --max-drop 0.5% --output recipe.json
  veca-edge convert veca.pt --recipe recipe.json --calibration photos/

\b
photos/ holds images, or folders of images named after labels, perhaps in train/ and val/: then train is learned
from and val judges. --max-drop holds for the mean cosine of embedding and features to float32, and with labels that
the model knows also for accuracy. Nothing is trained.
"""


@click.command("calibrate", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--images", type=click.Path(path_type=Path), metavar="DIR", help="Real images; the packaged samples by default."
)
@limit_options
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Where the recipe goes, as JSON."
)
@click.option(
    "--photos",
    type=click.IntRange(min=1, max=100_000),
    metavar="N",
    help="Most images to learn from, and most to judge by; 128, and 16 to 256 by the model's cost.",
)
@click.option(
    "--budgets",
    callback=parse_budgets,
    metavar="8,64",
    help="Core counts; by default the smallest and the largest.",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw what each layer loses.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    checkpoint: Path | None,
    images: Path | None,
    max_drop: float | None,
    max_size: int | None,
    output: Path | None,
    photos: int | None,
    budgets: tuple[int, ...] | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure what each linear layer loses at int8, int4 and float16, and choose a recipe within a budget.

    CHECKPOINT is a checkpoint in the published format; without it the one that comes with the package is used.
    """
    start = perf_counter()
    output, plot = _targets(checkpoint, output, plot, max_drop, max_size)
    for module in ("torch", "cv2", "executorch"):
        require(module, "convert")
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint
    from veca_edge.photos.calibration import read_calibration
    from veca_edge.runtime.machine import read_machine
    from veca_edge.runtime.native import quiet

    machine = read_machine()
    source = read_checkpoint(checkpoint or default_checkpoint_path())
    stages = Stages() if not as_json else lambda stage, done: None
    found = read_calibration(source, images, photos, say)
    with quiet():  # after the inputs: these imports take seconds
        from veca_edge.calibration.quantization.calibrator import Calibrator
    from veca_edge.calibration.quantization.findings import Goal

    goal = None if max_drop is None and max_size is None else Goal(max_drop, max_size)
    report = Calibrator(source, found, budgets, stages).report(machine, goal)
    if output is not None and report.chosen is not None:
        report.chosen.recipe.write(output)
    if plot is not None:
        from veca_edge.calibration.quantization.heatmap import draw_sensitivity

        draw_sensitivity(plot, report)
    if as_json:
        facts = {"output": None if output is None else str(output), "seconds": round(perf_counter() - start, 2)}
        click.echo(json.dumps(facts | report.to_dict(), indent=2))
        return
    click.echo("\n".join(_lines(report)))
    written = "" if output is None else f"{output}: the recipe; "
    click.echo(f"{written}{perf_counter() - start:.1f} s")


def _targets(
    checkpoint: Path | None, output: Path | None, plot: Path | None, drop: float | None, size: int | None
) -> tuple[Path | None, Path | None]:
    """Where the recipe and the picture go, refused before any work if they cannot go there."""
    check_limits(drop, size)
    if output is not None:
        if drop is None and size is None:
            raise VecaError("--output is for a recipe: give --max-drop or --max-size")
        output = check_target(output)
        if checkpoint is not None and same_file(output, checkpoint):
            raise VecaError(f"{output} is the checkpoint itself: name another --output")
    if plot is not None:
        plot = check_picture(plot)
        if output is not None and same_file(plot, output):
            raise VecaError(f"--plot and --output are the same file: {output}")
    return output, plot


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
