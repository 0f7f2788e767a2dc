"""`veca-edge average`: the mean of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import click

from veca_edge.cli.options import InputPath, path_option
from veca_edge.cli.parsing import parse_numbers
from veca_edge.cli.progress import command_line, next_step, say
from veca_edge.errors import require, shown
from veca_edge.numbers import counted

EPILOG = """\b
Only checkpoints that were trained on from a common one have a mean that is worth something: two runs with other
photos, settings or seeds, or a run and what it started from. What such a run forgot comes back in part.

\b
Examples:
  veca-edge average before.pt after.pt --output mean.pt
  veca-edge average first.pt second.pt third.pt --parts 2,1,1 --output mean.pt
  veca-edge evaluate mean.pt --data photos/   # is it better than each of them?
"""


def parse_parts(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """Parts such as "3,1" or None."""
    if text is None:
        return None
    numbers = parse_numbers(text)
    if not numbers:
        raise click.BadParameter(f"{shown(text)}: give a number for each checkpoint, such as 3,1")
    return numbers


@click.command("average", epilog=EPILOG)
@click.argument("checkpoints", metavar="CHECKPOINT...", nargs=-1, required=True, type=InputPath())
@path_option("--output", "-o", required=True, help="Write the mean here.")
@click.option(
    "--parts",
    metavar="N,N,...",
    callback=parse_parts,
    show_default="the same of each",
    help="Take so many parts of each checkpoint: with 3,1 the first counts three times as much.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(checkpoints: tuple[Path, ...], output: Path, parts: tuple[float, ...] | None, as_json: bool) -> None:
    """Average the weights of checkpoints that went on from a common one: often better than any of them.

    They must have the same labels and heads. The mean gets the first one's image size. How sure the model must be
    of a label is not averaged: fit it anew with `veca-edge convert --data DIR --unknown DIR`.
    """
    require("torch", "convert")
    from veca_edge.model.averaging import AverageRequest, average

    written = average(AverageRequest(checkpoints, output, parts), say)
    if as_json:
        click.echo(json.dumps({"output": str(output), "bytes": written}, indent=2))
        return
    click.echo(f"{output}: the mean of {counted(len(checkpoints), 'checkpoint')}, {written / 1e6:.2f} MB")
    next_step(command_line("evaluate", output) + " --data DIR")
