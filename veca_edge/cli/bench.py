"""`veca-edge bench`: latency, memory and size of a model on this machine."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from veca_edge.errors import VecaError, require

EPILOG = """\b
Examples:
  veca-edge bench                                   # the packaged model
  veca-edge bench model.pte --cores all --image-size 256,384,512
  veca-edge bench --random small --against torch    # a published size, random weights
  veca-edge bench model.pte --against torch --checkpoint model.pt --markdown
"""


@click.command("bench", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--random", metavar="FAMILY", help="Random weights of a size: small, splus, base or large.")
@click.option(
    "--cores", metavar="LIST|all", help="Core budgets, such as 8,64; the smallest and largest by default."
)
@click.option("--image-size", metavar="LIST", help="Pixels, such as 256,512; the model's own by default.")
@click.option("--against", type=click.Choice(["torch"]), help="Also time the same weights in eager PyTorch.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What a model file was made from, for --against.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=30, show_default=True, help="Timings per configuration."
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
    that comes with the package is measured.
    """
    if given["as_json"] and given["markdown"]:
        raise VecaError("give --json or --markdown, not both")
    cores, sizes = parse_cores(given["cores"]), parse_numbers("--image-size", given["image_size"])
    for module in ("torch", "executorch"):
        require(module, "run")
    from calibration.benchmark import measure, steps
    from calibration.machine import read_machine
    from calibration.report import json_report, markdown_report, text_report
    from calibration.subject import Request, prepare

    machine = read_machine()
    against = given["against"] is not None
    request = Request(
        given["model"], given["random"], given["checkpoint"], given["quantize"], cores, sizes, against
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="veca-edge-")))
        subject = prepare(request, folder, _say)
        advance = _progress(steps(subject, given["rounds"]), stack)
        result = measure(subject, machine, given["rounds"], given["threads"], against, advance)
    report = json_report if given["as_json"] else markdown_report if given["markdown"] else text_report
    click.echo(report(result))


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


def _progress(total: int, stack: ExitStack) -> Callable[[], object]:
    """Advances a bar on stderr if someone is watching."""
    if not sys.stderr.isatty():
        return lambda: None
    bar = stack.enter_context(click.progressbar(length=total, label="measuring", file=sys.stderr))
    return lambda: bar.update(1)


def _say(message: str) -> None:
    click.echo(f"veca-edge: {message}", err=True)
