"""`veca-edge verify`: a model file or a Core ML package against the checkpoint it came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.progress import Stages
from veca_edge.cli.tables import verification_lines
from veca_edge.errors import VecaError, require
from veca_edge.files import is_package

if TYPE_CHECKING:
    from veca_edge.modelfile.manifest import Manifest

EPILOG = """\b
Examples:
  veca-edge verify model.pte --checkpoint veca.pt
  veca-edge verify Model.mlpackage --checkpoint veca.pt
  veca-edge verify model.pte --checkpoint veca.pt --images photos/

\b
Exit status: 0 if every method, function and budget is within the tolerance, 1 if not, 2 for bad input.
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

    The model runs in a child process, so this is also the safe way to look at a file from a stranger. Core ML
    packages are computed by this project's own interpreter, on any machine.
    """
    require("torch", "convert")
    manifest, compare = _opened(path)
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    source = read_checkpoint(checkpoint or default_checkpoint_path())
    if source.digest != manifest.source_digest:
        hint = "" if checkpoint else ": name the right one with --checkpoint"
        raise VecaError(f"{path} was made from another checkpoint than {source.path}{hint}")
    stages = None if as_json else Stages()
    progress = None if stages is None else lambda done: stages("verifying", done)
    verification = compare(source, progress, images)
    facts = verification.to_dict()
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(verification_lines(facts)))
    if not verification.passed:
        raise SystemExit(1)


def _opened(path: Path) -> tuple[Manifest, Callable[..., Any]]:
    """The manifest of a model file or package, and what compares it: (checkpoint, progress, images)."""
    if is_package(path):
        require("coremltools", "coreml")
        from veca_edge.converters.coreml.verification import verify_package_in_child
        from veca_edge.modelfile.mlpackage import read_package_file

        return read_package_file(path).manifest, partial(verify_package_in_child, path)
    require("executorch", "convert")
    from veca_edge.modelfile.pte import read_model_file
    from veca_edge.runtime.native import quiet

    file = read_model_file(path)
    with quiet():
        from veca_edge.converters.executorch.verification import verify_in_child

    return file.manifest, partial(verify_in_child, file)
