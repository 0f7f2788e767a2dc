"""`veca-edge bench`: latency, memory and size of a model on this machine; what streaming saves and costs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.parsing import parse_budgets, parse_sizes
from veca_edge.cli.progress import Stages, say
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target
from veca_edge.plotting import check_picture

if TYPE_CHECKING:
    from veca_edge.calibration.benchmark.machine import Machine
    from veca_edge.calibration.benchmark.report import Report
    from veca_edge.calibration.benchmark.target import Request, Subject

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
ROUNDS = 30
STREAM_SIZE = 256  # pixels
AGAINST = ("torch", "torch-compile", "onnxruntime", "openvino", "dense")
# What goes only with, and what goes not with, the other two ways of measuring.
OF_STREAMS = ("patch_budget", "frames")
NOT_OF_STREAMS = ("against", "checkpoint", "rounds", "minutes")
NOT_OF_MINUTES = ("against", "checkpoint", "rounds")


def parse_cores(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Budgets such as "8,64", () for "all", None for the command's own choice."""
    return () if text == "all" else parse_budgets(context, parameter, text)


def parse_against(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Runtimes such as "torch,openvino", each once; () for none."""
    names = () if text is None else tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in AGAINST:
            raise click.BadParameter(f"{name!r}: give some of {','.join(AGAINST)}")
    return names


def parse_patch_budgets(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int | None, ...] | None:
    """Patches per frame such as "none,48", None for "none", each once; None if not given."""
    if text is None:
        return None
    budgets: dict[int | None, None] = {}
    for part in map(str.strip, text.split(",")):
        if part != "none" and not (part.isascii() and part.isdigit() and int(part) > 1):
            raise click.BadParameter(f"{text!r}: give numbers from 2, or none, such as none,48")
        budgets[None if part == "none" else int(part)] = None
    return tuple(budgets)


@click.command("bench", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--random", metavar="FAMILY", help="Random weights of a size: small, splus, base or large.")
@click.option(
    "--cores",
    callback=parse_cores,
    metavar="LIST|all",
    help="Core budgets, such as 8,64; the smallest and largest by default, the largest with --minutes.",
)
@click.option(
    "--image-size",
    callback=parse_sizes,
    metavar="LIST",
    help=f"Pixels, such as 256,512; the model's own by default, {STREAM_SIZE} with --stream.",
)
@click.option(
    "--against",
    callback=parse_against,
    metavar="LIST",
    help=f"Also time the same weights in other runtimes, taking turns: {', '.join(AGAINST[:-1])}; and dense, an "
    "ordinary vision transformer of the same sizes in this one.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What a model file was made from, for --against.",
)
@click.option("--rounds", type=click.IntRange(min=1), help=f"Timings per configuration; {ROUNDS} by default.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Run without a pause for so long, operating points in turns: does the speed last? Ctrl-C ends it early.",
)
@click.option(
    "--stream",
    "clips",
    multiple=True,
    metavar="CLIP",
    help="Measure streaming against full computation on a video file, synthetic or synthetic:NAME; repeatable.",
)
@click.option(
    "--patch-budget",
    callback=parse_patch_budgets,
    metavar="LIST",
    help="For --stream: most patches per frame, such as none,48; none by default.",
)
@click.option("--frames", type=click.IntRange(min=1), help="For --stream: at most so many per clip.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw latency by image size and cores; with --minutes over time; with --stream against fidelity.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads; the number of big cores by default.")
@click.option(
    "--quantize",
    type=click.Choice(["int8", "int4", "fp32"]),
    help="For checkpoints and --random; int8 by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", is_flag=True, help="Print tables for a README.")
def command(**given: Any) -> None:
    """Measure latency, memory and size of a model on this machine.

    MODEL is a .pte file, or a checkpoint, which is converted first (the result is not kept). Without it the model
    that comes with the package is measured. With --minutes: whether the speed lasts. With --stream: what streaming
    saves, and what it costs in fidelity.
    """
    _check(given)
    for module in ("torch", "executorch", *(["cv2"] if given["clips"] else [])):
        require(module, "run")
    from veca_edge.calibration.benchmark.against.runtimes import packages
    from veca_edge.calibration.benchmark.machine import read_machine
    from veca_edge.calibration.benchmark.target import Request

    machine = read_machine(packages(given["against"]))
    request = Request(
        model=given["model"],
        random=given["random"],
        checkpoint=given["checkpoint"],
        quantize=given["quantize"],
        cores=given["cores"],
        image_sizes=given["image_size"] or ((STREAM_SIZE,) if given["clips"] else None),
        against=given["against"],
        largest=given["minutes"] is not None,
    )
    kind = _measure_streams if given["clips"] else _measure if given["minutes"] is None else _measure_minutes
    with ExitStack() as stack:
        report = kind(request, machine, given, stack)
    click.echo(report.json() if given["as_json"] else report.markdown() if given["markdown"] else report.text())


def _check(given: dict[str, Any]) -> None:
    """Refuse options that contradict each other, and a picture that cannot be written, before any work."""
    if given["as_json"] and given["markdown"]:
        raise VecaError("give --json or --markdown, not both")
    way = "--stream" if given["clips"] else "--minutes" if given["minutes"] is not None else None
    refused = {"--stream": NOT_OF_STREAMS, "--minutes": (*NOT_OF_MINUTES, *OF_STREAMS), None: OF_STREAMS}[way]
    for name in refused:
        if given[name] not in (None, ()):
            how = "goes with --stream" if name in OF_STREAMS else f"goes without {way}"
            raise VecaError(f"--{name.replace('_', '-')} {how}")
    if given["clips"] and given["image_size"] is not None and len(given["image_size"]) > 1:
        raise VecaError("--stream measures one image size at a time: give one --image-size")
    if given["plot"] is not None:
        check_picture(given["plot"])


def _measure(request: Request, machine: Machine, given: dict[str, Any], stack: ExitStack) -> Report:
    from veca_edge.calibration.benchmark.latency import Against, measure, steps
    from veca_edge.calibration.benchmark.report import describe

    rounds = given["rounds"] or ROUNDS
    subject = _prepare(request, stack)
    against = Against(request.against, _folder(stack)) if request.against else None
    advance = _progress(steps(subject, rounds), stack)
    result = measure(subject, machine, rounds, given["threads"], against, advance, say)
    if given["plot"] is not None:
        from veca_edge.calibration.benchmark.latency_plots import draw_benchmark

        draw_benchmark(check_target(given["plot"]), result)
    return describe(result)


def _measure_minutes(request: Request, machine: Machine, given: dict[str, Any], stack: ExitStack) -> Report:
    from veca_edge.calibration.benchmark.sustained import measure_sustained
    from veca_edge.calibration.benchmark.sustained_report import describe

    subject, stages = _prepare(request, stack), Stages()
    result = measure_sustained(
        subject, machine, given["minutes"], given["threads"], lambda done: stages("measuring", done)
    )
    if given["plot"] is not None:
        from veca_edge.calibration.benchmark.latency_plots import draw_sustained

        draw_sustained(check_target(given["plot"]), result)
    return describe(result)


def _measure_streams(request: Request, machine: Machine, given: dict[str, Any], stack: ExitStack) -> Report:
    from veca_edge.calibration.benchmark.stream_report import describe
    from veca_edge.calibration.benchmark.streams import find_clips, measure_streams, steps

    clips, budgets = find_clips(given["clips"], given["frames"], say), given["patch_budget"] or (None,)
    subject = _prepare(request, stack)
    advance = _progress(steps(clips, len(subject.cores) * len(budgets)), stack)
    result = measure_streams(subject, machine, clips, budgets, given["threads"], advance)
    if given["plot"] is not None:
        from veca_edge.calibration.benchmark.stream_plots import draw

        draw(check_target(given["plot"]), result)
    return describe(result)


def _prepare(request: Request, stack: ExitStack) -> Subject:
    from veca_edge.calibration.benchmark.target import prepare
    from veca_edge.conversion.default import default_model_path

    return prepare(request, _folder(stack), say, default=default_model_path)


def _folder(stack: ExitStack) -> Path:
    """A folder that is gone when the stack is."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="veca-edge-")))


def _progress(total: int | None, stack: ExitStack) -> Callable[[], object]:
    """Advances a bar on stderr if someone is watching."""
    if total is None or not sys.stderr.isatty():
        return lambda: None
    bar = stack.enter_context(click.progressbar(length=total, label="measuring", file=sys.stderr))
    return lambda: bar.update(1)
