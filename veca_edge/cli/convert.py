"""`veca-edge convert`: a checkpoint to a file for devices, or to several."""

from __future__ import annotations

import json
from collections.abc import Iterator
from shlex import quote
from typing import Any, get_args

import click

from veca_edge.cli.options import Count, InputPath, RenamedOption, path_option, unknown_option
from veca_edge.cli.parsing import parse_budgets, parse_sizes
from veca_edge.cli.progress import Stages, command_line, echo_lines, next_step, say
from veca_edge.cli.quantization import limit_options
from veca_edge.cli.tables import certainty_lines, verification_lines
from veca_edge.conversion.convert import TARGETS, Conversion, ConvertRequest, convert
from veca_edge.converters.recipes import DEFAULT, PRECISIONS, Compression
from veca_edge.errors import VecaError
from veca_edge.modelfile.manifest import DEFAULT_MAX_PATCHES
from veca_edge.modelfile.mlpackage import MinimumTarget

PTE_APPS = "apps/android, apps/ios, apps/python-mobile, apps/desktop"
AFTER = {
    "executorch": f"veca-edge run {{}} --source clip.mp4 (or embed it in an app: {PTE_APPS})",
    "coreml": "embed {} in an app: apps/ios",
}
EPILOG = """\b
Examples:
  veca-edge convert                                    # the checkpoint that comes with the package
  veca-edge convert veca.pt --target executorch --output veca.pte
  veca-edge convert veca.pt --target coreml --output Veca.mlpackage
  veca-edge convert veca.pt --target coreml --quantize fp16 --image-size 256,384
  veca-edge convert veca.pt --target all               # both files
  veca-edge convert veca.pt --quantize fp32 --cores 8,32,64 --image-size 384
  veca-edge convert veca.pt --max-patches 4096         # up to 1024 px with patches of 16
  veca-edge convert veca.pt --quantize int4 --data photos/
  veca-edge convert veca.pt --data photos/ --max-drop 0.5%
  veca-edge convert veca.pt --data photos/ --unknown street/   # when to say "not sure"
  veca-edge convert veca.pt --recipe recipe.json --data photos/

\b
Before a file gets its name, it is read back in a child process, and every method or function is compared with the
checkpoint on real images, at every core budget.

\b
Exit status: 0 if the result was written, 2 for bad input or a result outside the tolerance.
"""


def refuse_coreml_backend(context: click.Context, parameter: click.Parameter, name: str | None) -> None:
    """Accept the only backend that is left, XNNPACK, and refuse the other."""
    if name == "coreml":
        raise VecaError("--backend coreml is no longer available: use --target coreml, which writes a package")


@click.command("convert", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=InputPath())
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    show_default="what the ending of --output says, else executorch",
    help="Write a .pte file for ExecuTorch, a package for Core ML, or both.",
)
@click.option(
    "--backend",
    type=click.Choice(["xnnpack", "coreml"]),
    callback=refuse_coreml_backend,
    expose_value=False,
    hidden=True,
)
@path_option(
    "--output",
    "-o",
    show_default="NAME-PRECISION.pte or NAME-PRECISION.mlpackage in this folder",
    help="Write to this file or package.",
)
@click.option(
    "--quantize",
    type=click.Choice(get_args(Compression)),
    show_default=DEFAULT,
    help=f"Store the weights in this form. A .pte takes {', '.join(PRECISIONS)}. Forms of 4 and 6 bits cost "
    "accuracy: check the table that is printed.",
)
@click.option(
    "--data",
    cls=RenamedOption,
    was="--calibration",
    type=InputPath(),
    metavar="DIR",
    help="Round the weights for photos in this folder, and verify and evaluate the result on others of them: its "
    "accuracy too if they lie in folders named after labels, its mean IoU if they have masks.",
)
@unknown_option("With --data in folders named after labels: f")
@click.option(
    "--recipe",
    type=InputPath(),
    metavar="FILE",
    help="Store each layer as this recipe says; `veca-edge calibrate` writes recipes.",
)
@limit_options("file")
@click.option(
    "--cores",
    cls=RenamedOption,
    was="--budgets",
    callback=parse_budgets,
    metavar="N[,N…]|all",
    show_default="all",
    help="Include these core budgets.",
)
@click.option(
    "--image-size",
    "image_sizes",
    callback=parse_sizes,
    metavar="N[,N…]",
    show_default="the checkpoint's own",
    help="Set the side of the input image in pixels. A Core ML package holds several sizes, the default one first.",
)
@click.option(
    "--minimum-target",
    type=click.Choice(get_args(MinimumTarget)),
    default=ConvertRequest.minimum_target,
    show_default=True,
    help="Set the oldest system that runs the Core ML package. iOS17 (macOS 14) needs one package per budget.",
)
@click.option(
    "--classifier",
    is_flag=True,
    help="Write a Core ML classifier, which gives a label and probabilities instead of logits.",
)
@click.option(
    "--max-patches",
    type=Count(min=1),
    show_default=f"{DEFAULT_MAX_PATCHES}, or enough for the image",
    help="Set the largest number of patches that a .pte computes at once.",
)
@click.option(
    "--evaluate/--no-evaluate",
    cls=RenamedOption,
    was="--judge/--no-judge",
    default=ConvertRequest.evaluate,
    show_default=True,
    help="Measure how close each run configuration of a .pte comes to the best one. `run --cores auto` needs this.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write the file even if its results are further from the checkpoint's than the tolerance.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """Convert a checkpoint to a file for devices, with every core budget inside, and verify it.

    CHECKPOINT is a checkpoint in the published format; without it the one that comes with the package is used.
    """
    made = convert(ConvertRequest(**given), Stages(), say)
    if as_json:
        facts = {conversion.target: conversion.to_dict() for conversion in made}
        click.echo(json.dumps(facts if len(facts) > 1 else made[0].to_dict(), indent=2))
        return
    for conversion in made:
        echo_lines(_lines(conversion))
        next_step(AFTER[conversion.target].format(quote(str(conversion.outputs[0].path))))


def _lines(conversion: Conversion) -> Iterator[str]:
    """What was made for one target, for a terminal."""
    for output in conversion.outputs:
        yield ""
        yield from verification_lines(output.manifest.verification)
    yield ""
    for output in conversion.outputs:
        names = output.manifest.methods
        if output.graph_bytes:
            yield f"{len(names)} methods ({', '.join(names)}): one XNNPACK delegate each, no operator outside"
        elif len(names) > 1:
            yield f"{len(names)} functions ({', '.join(names)}), default {output.default_function}"
        weights = f"weights {output.manifest.weight_bytes / 1e6:.2f} MB"
        once = ", stored once for all" if len(names) > 1 else ""
        if output.manifest.labels:
            yield from certainty_lines(output.manifest.certainty)
        yield f"{output.path}: {output.bytes / 1e6:.2f} MB, {weights}{once}"
        if output.manifest.quality:
            command = command_line("inspect", output.path, "--quality")
            yield f"what each run configuration keeps: {command}"
    yield f"{conversion.seconds:.1f} s"
