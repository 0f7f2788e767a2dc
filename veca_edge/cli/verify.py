"""`veca-edge verify`: a model file or a Core ML package against the checkpoint it came from."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from veca_edge.cli.options import InputPath, images_option
from veca_edge.cli.progress import Stages
from veca_edge.cli.tables import verification_lines
from veca_edge.conversion.verify import VerifyRequest, verify

EPILOG = """\b
Examples:
  veca-edge verify model.pte --checkpoint veca.pt
  veca-edge verify Model.mlpackage --checkpoint veca.pt
  veca-edge verify model.pte --checkpoint veca.pt --data photos/

\b
Exit status: 0 if every method, function and budget is within the tolerance, 1 if not, 2 for bad input.
"""


@click.command("verify", epilog=EPILOG)
@click.argument("path", metavar="MODEL", type=InputPath())
@click.option(
    "--checkpoint",
    type=InputPath(),
    metavar="FILE",
    show_default="the checkpoint that comes with the package",
    help="Compare with this checkpoint, which the model was made from.",
)
@images_option(
    show_default="some of the packaged photos",
    help="Compare on the images in this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(path: Path, checkpoint: Path | None, images: Path | None, as_json: bool) -> None:
    """Compare a model file with the checkpoint it came from: every method, every budget, on real images.

    MODEL is a .pte file or an .mlpackage. It runs in a child process, so this is the safe way to look at a file
    from a stranger. Core ML packages are computed by this project's own interpreter, on any machine.
    """
    progress = partial(Stages(), "verifying")
    outcome = verify(VerifyRequest(path, checkpoint, images), progress)
    facts = outcome.to_dict()
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(verification_lines(facts)))
    if not outcome.passed:
        raise SystemExit(1)
