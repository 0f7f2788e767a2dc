"""`veca-edge verify`: a model file against the checkpoint it came from."""

from __future__ import annotations

import json
from pathlib import Path

import click

from veca_edge.cli.progress import Stages
from veca_edge.cli.tables import verification_lines
from veca_edge.errors import VecaError, require

EPILOG = """\b
Examples:
  veca-edge verify model.pte --checkpoint veca.pt
  veca-edge verify model.pte --checkpoint veca.pt --images photos/

\b
Exit status: 0 if every method and budget is within the tolerance, 1 if not, 2 for bad input.
"""


@click.command("verify", epilog=EPILOG)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the model came from; by default the checkpoint that comes with the package.",
)
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="Your own images to compare on.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(path: Path, checkpoint: Path | None, images: Path | None, as_json: bool) -> None:
    """Compare a model file with the checkpoint it came from: every method, every budget, on real images.

    The model runs in a child process, so this is also the safe way to look at a file from a stranger.
    """
    require("torch", "convert")
    require("executorch", "convert")
    from veca_edge.runtime.modelfile import read_model_file
    from veca_edge.runtime.native import quiet

    file = read_model_file(path)
    with quiet():
        from converters.verification import verify_in_child
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    source = read_checkpoint(checkpoint or default_checkpoint_path())
    if source.digest != file.manifest.source_digest:
        hint = "" if checkpoint else ": name the right one with --checkpoint"
        raise VecaError(f"{path} was made from another checkpoint than {source.path}{hint}")
    stages = None if as_json else Stages()
    progress = None if stages is None else lambda done: stages("verifying", done)
    verification = verify_in_child(file, source, progress, images)
    facts = verification.to_dict()
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(verification_lines(facts)))
    if not verification.passed:
        raise SystemExit(1)
