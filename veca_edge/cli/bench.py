"""`veca-edge bench`: latency, memory and size of a model on this machine; what streaming saves and costs."""

from __future__ import annotations

from typing import Any

import click

from veca_edge.calibration.benchmark.against.runtimes import RUNTIMES
from veca_edge.calibration.benchmark.request import ROUNDS, STREAM_SIZE, BenchRequest
from veca_edge.cli.options import Count, InputPath, Number, path_option, threads_option
from veca_edge.cli.parsing import parse_budgets, parse_sizes
from veca_edge.cli.progress import Stages, command_line, next_step, say
from veca_edge.converters.recipes import PRECISIONS
from veca_edge.errors import VecaError

EPILOG = """\b
Examples:
  veca-edge bench                                   # the packaged model
  veca-edge bench model.pte --cores all --image-size 256,384,512 --plot latency.png
  veca-edge bench model.pte --against torch --checkpoint model.pt --markdown
  veca-edge bench --random small --cores 64 --against torch,onnxruntime,openvino,dense
  veca-edge bench --minutes 30 --plot half-an-hour.png
  veca-edge bench --stream clip.mp4 --patch-budget none,48 --plot streams.png
  veca-edge bench --stream synthetic                # or one of them, such as synthetic:pan
"""


def parse_cores(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Budgets such as "8,64", () for "all", None for the command's own choice."""
    return () if text == "all" else parse_budgets(context, parameter, text)


def parse_against(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Runtimes such as "torch,openvino", each once; () for none."""
    names = () if text is None else tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in RUNTIMES:
            raise click.BadParameter(f"{name!r}: give some of {','.join(RUNTIMES)}")
    return names


def parse_patch_budgets(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int | None, ...]:
    """Patches per frame such as "none,48", None for "none", each once; () if not given."""
    budgets: dict[int | None, None] = {}
    for part in map(str.strip, text.split(",") if text is not None else ()):
        if part != "none" and not (part.isascii() and part.isdigit() and int(part) > 1):
            raise click.BadParameter(f"{text!r}: give numbers from 2, or none, such as none,48")
        budgets[None if part == "none" else int(part)] = None
    return tuple(budgets)


@click.command("bench", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=InputPath())
@click.option("--random", metavar="SIZE", help="Measure random weights of this size: small, splus, base or large.")
@click.option(
    "--cores",
    callback=parse_cores,
    metavar="N[,N…]|all",
    show_default="the smallest and the largest; the largest with --minutes",
    help="Measure these core budgets, such as 8,64.",
)
@click.option(
    "--image-size",
    callback=parse_sizes,
    metavar="N[,N…]",
    show_default=f"the model's own; {STREAM_SIZE} with --stream",
    help="Measure these image sizes in pixels, such as 256,512.",
)
@click.option(
    "--against",
    callback=parse_against,
    metavar="NAME[,NAME…]",
    help="Also measure baselines, interleaved with the model: the same weights in "
    f"{', '.join(name for name in RUNTIMES if name != 'dense')}; and dense, an ordinary vision transformer of the "
    "same sizes in this project's own runtime.",
)
@path_option(
    "--checkpoint", is_input=True, help="Name the checkpoint that a model file was made from, for --against."
)
@click.option(
    "--rounds", type=Count(min=1), show_default=str(ROUNDS), help="Time every configuration this many times."
)
@click.option(
    "--minutes",
    type=Number(min=0, min_open=True),
    help="Measure whether the speed lasts: run for this many minutes without a pause. Ctrl-C ends it early.",
)
@click.option(
    "--stream",
    multiple=True,
    metavar="CLIP",
    help="Compare streaming with full computation on a video file, on all synthetic streams (synthetic) or on one "
    "(synthetic:NAME). Can be given several times.",
)
@click.option(
    "--patch-budget",
    callback=parse_patch_budgets,
    metavar="N|none[,…]",
    show_default="none",
    help="With --stream: compute at most this many patches per frame, such as none,48 (none: no limit).",
)
@click.option(
    "--frames",
    type=Count(min=1),
    show_default="all",
    help="With --stream: stop after this many frames per clip.",
)
@path_option(
    "--plot",
    help="Draw latency by image size and cores; with --minutes over time; with --stream against fidelity "
    "(.png, .svg, .pdf).",
)
@threads_option()
@click.option(
    "--quantize",
    type=click.Choice(PRECISIONS),
    show_default=PRECISIONS[0],
    help="Convert a checkpoint or --random to this precision.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", is_flag=True, help="Print tables for a README.")
def command(as_json: bool, markdown: bool, **given: Any) -> None:
    """Measure latency, memory and size of a model on this machine.

    MODEL is a .pte file, or a checkpoint, which is converted first (the result is not kept). Without it the model
    that comes with the package is measured. With --minutes it measures whether the speed lasts, with --stream what
    streaming saves and what it costs in fidelity.
    """
    if as_json and markdown:
        raise VecaError("give --json or --markdown, not both")
    request = BenchRequest(**given)
    from veca_edge.calibration.benchmark.run import bench
    from veca_edge.conversion.default import default_model_path
    from veca_edge.modelfile.pte import is_model_file

    report = bench(request, default_model_path, say, Stages())
    click.echo(report.json() if as_json else report.markdown() if markdown else report.text())
    if request.plot is not None:
        say(f"wrote {request.plot}")
    profiled = request.random is None and (request.model is None or is_model_file(request.model))
    if profiled and not as_json and not markdown:
        command = command_line("profile", request.model, "--target-fps", 15)
        next_step(f"{command} recommends one operating point for a frame rate")
