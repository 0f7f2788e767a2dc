"""`veca-edge bench`: latency, memory and size of a model on this machine; what streaming saves and costs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.errors import VecaError, require
from veca_edge.files import check_target

if TYPE_CHECKING:
    from calibration.machine import Machine
    from calibration.report import Report
    from calibration.subject import Request, Subject

EPILOG = """\b
Examples:
  veca-edge bench                                   # the packaged model
  veca-edge bench model.pte --cores all --image-size 256,384,512
  veca-edge bench --random small --against torch    # a published size, random weights
  veca-edge bench model.pte --against torch --checkpoint model.pt --markdown
  veca-edge bench --stream clip.mp4 --patch-budget none,48 --plot streams.png
  veca-edge bench --stream synthetic                # or one of them, such as synthetic:pan
"""
ROUNDS = 30
STREAM_SIZE = 256  # pixels
PICTURES = (".png", ".svg", ".pdf")


@click.command("bench", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--random", metavar="FAMILY", help="Random weights of a size: small, splus, base or large.")
@click.option(
    "--cores", metavar="LIST|all", help="Core budgets, such as 8,64; the smallest and largest by default."
)
@click.option(
    "--image-size",
    metavar="LIST",
    help=f"Pixels, such as 256,512; the model's own by default, {STREAM_SIZE} with --stream.",
)
@click.option("--against", type=click.Choice(["torch"]), help="Also time the same weights in eager PyTorch.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What a model file was made from, for --against.",
)
@click.option("--rounds", type=click.IntRange(min=1), help=f"Timings per configuration; {ROUNDS} by default.")
@click.option(
    "--stream",
    "clips",
    multiple=True,
    metavar="CLIP",
    help="Measure streaming against full computation on a video file, synthetic or synthetic:NAME; repeatable.",
)
@click.option(
    "--patch-budget", metavar="LIST", help="For --stream: most patches per frame, such as none,48; none by default."
)
@click.option("--frames", type=click.IntRange(min=1), help="For --stream: at most so many per clip.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="For --stream: draw latency against fidelity."
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads; the number of big cores by default.")
@click.option(
    "--quantize",
    type=click.Choice(["int8", "fp32"]),
    help="For checkpoints and --random; int8 by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", is_flag=True, help="Print tables for a README.")
def command(**given: Any) -> None:
    """Measure latency, memory and size of a model on this machine.

    MODEL is a .pte file, or a checkpoint, which is converted first (the result is not kept). Without it the model
    that comes with the package is measured. With --stream: what streaming saves, and what it costs in fidelity.
    """
    _check(given)
    cores, sizes = parse_cores(given["cores"]), parse_numbers("--image-size", given["image_size"])
    patch_budgets = parse_patch_budgets(given["patch_budget"])
    if given["clips"] and sizes is not None and len(sizes) > 1:
        raise VecaError("--stream measures one image size at a time: give one --image-size")
    for module in ("torch", "executorch", *(["cv2"] if given["clips"] else [])):
        require(module, "run")
    from calibration.machine import read_machine
    from calibration.subject import Request

    machine = read_machine()
    against = given["against"] is not None
    sizes = sizes or ((STREAM_SIZE,) if given["clips"] else None)
    request = Request(
        given["model"], given["random"], given["checkpoint"], given["quantize"], cores, sizes, against
    )
    with ExitStack() as stack:
        if given["clips"]:
            report = _measure_streams(request, machine, patch_budgets, given, stack)
        else:
            report = _measure(request, machine, given, stack)
    click.echo(report.json() if given["as_json"] else report.markdown() if given["markdown"] else report.text())


def _check(given: dict[str, Any]) -> None:
    """Refuse options that contradict each other, and a picture that cannot be written, before any work."""
    if given["as_json"] and given["markdown"]:
        raise VecaError("give --json or --markdown, not both")
    for name in ("against", "checkpoint", "rounds") if given["clips"] else ("patch_budget", "frames", "plot"):
        if given[name] is not None:
            how = "goes without --stream" if given["clips"] else "goes with --stream"
            raise VecaError(f"--{name.replace('_', '-')} {how}")
    if given["plot"] is not None:
        require("matplotlib", "plot")
        check_target(given["plot"])
        if given["plot"].suffix.lower() not in PICTURES:
            raise VecaError(f"--plot {given['plot'].name}: use a name that ends in .png, .svg or .pdf")


def _measure(request: Request, machine: Machine, given: dict[str, Any], stack: ExitStack) -> Report:
    from calibration.benchmark import measure, steps
    from calibration.report import describe

    rounds = given["rounds"] or ROUNDS
    subject = _prepare(request, stack)
    advance = _progress(steps(subject, rounds), stack)
    return describe(measure(subject, machine, rounds, given["threads"], request.against_torch, advance))


def _measure_streams(
    request: Request,
    machine: Machine,
    patch_budgets: tuple[int | None, ...],
    given: dict[str, Any],
    stack: ExitStack,
) -> Report:
    from calibration.streamreport import describe
    from calibration.streams import find_clips, measure_streams, steps

    clips = find_clips(given["clips"], given["frames"], _say)
    subject = _prepare(request, stack)
    advance = _progress(steps(clips, len(subject.cores) * len(patch_budgets)), stack)
    result = measure_streams(subject, machine, clips, patch_budgets, given["threads"], advance)
    if given["plot"] is not None:
        from calibration.plots import draw

        draw(check_target(given["plot"]), result)
    return describe(result)


def _prepare(request: Request, stack: ExitStack) -> Subject:
    from calibration.subject import prepare

    return prepare(request, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="veca-edge-"))), _say)


def parse_cores(text: str | None) -> tuple[int, ...] | None:
    """ "8,64" to numbers, "all" to (), nothing to None.

    Raises:
        VecaError: anything else.
    """
    return () if text == "all" else parse_numbers("--cores", text)


def parse_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """Numbers above 0 with commas between; None for None.

    Raises:
        VecaError: anything else.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise VecaError(f"{option} {text!r}: expected numbers with commas between, such as 8,64")
    return tuple(map(int, parts))


def parse_patch_budgets(text: str | None) -> tuple[int | None, ...]:
    """ "none,48" to patches per frame, None for "none", each once; nothing to (None,).

    Raises:
        VecaError: anything else, or fewer than a stream takes.
    """
    budgets: dict[int | None, None] = {}
    for part in ("none" if text is None else text).split(","):
        part = part.strip()
        if part != "none" and not (part.isascii() and part.isdigit() and int(part) > 1):
            raise VecaError(
                f"--patch-budget {text!r}: expected numbers from 2 or none, with commas between, such as none,48"
            )
        budgets[None if part == "none" else int(part)] = None
    return tuple(budgets)


def _progress(total: int | None, stack: ExitStack) -> Callable[[], object]:
    """Advances a bar on stderr if someone is watching."""
    if total is None or not sys.stderr.isatty():
        return lambda: None
    bar = stack.enter_context(click.progressbar(length=total, label="measuring", file=sys.stderr))
    return lambda: bar.update(1)


def _say(message: str) -> None:
    click.echo(f"veca-edge: {message}", err=True)
