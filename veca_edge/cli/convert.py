"""`veca-edge convert`: a checkpoint to one file for devices."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import Stages
from veca_edge.cli.tables import verification_lines
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file

EPILOG = """\b
Examples:
  veca-edge convert                                    # the model that comes with the package
  veca-edge convert veca.pt --target executorch --output veca.pte
  veca-edge convert veca.pt --quantize fp32 --budgets 8,32,64 --image-size 384
  veca-edge convert veca.pt --max-patches 4096         # up to 1024 px with patches of 16

\b
The file is loaded back in a child process and every method and budget is compared with the checkpoint on real
images before it gets its name. Exit status: 2 for bad input or a result outside the tolerance, else 0.
"""


@click.command("convert", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(["executorch"]), default="executorch", show_default=True)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Default: NAME-PRECISION.pte here.",
)
@click.option("--quantize", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option(
    "--budgets", callback=parse_budgets, metavar="8,16,…|all", help="Core counts to offer; all by default."
)
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    help="Side of the image in pixels; the checkpoint's by default.",
)
@click.option(
    "--max-patches", type=click.IntRange(min=1), help="Most patches at once; 1024 or enough for the image."
)
@click.option(
    "--judge/--no-judge",
    default=True,
    show_default=True,
    help="Measure what each operating point is worth, for `run --cores auto`.",
)
@click.option("--force", is_flag=True, help="Write the file even if it is outside the tolerance.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(checkpoint: Path | None, output: Path | None, as_json: bool, target: str, **given: Any) -> None:
    """Turn a checkpoint into one file for devices, with every core budget inside, and verify it.

    CHECKPOINT is a checkpoint in the published format; without it the one that comes with the package is used.
    """
    require("torch", "convert")
    require("executorch", "convert")
    from veca_edge.runtime.native import quiet

    with quiet():
        from converters.executorch import ConvertOptions, convert
    from converters.coverage import read_coverage
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    start = perf_counter()
    source = read_checkpoint(checkpoint or default_checkpoint_path())
    stem = (checkpoint or default_checkpoint_path()).stem
    path = output or Path(f"{stem}-{given['quantize']}.pte")
    path = check_target(path)
    if same_file(path, checkpoint or default_checkpoint_path()):
        raise VecaError(f"{path} is the checkpoint itself: name another --output")
    file = convert(source, path, ConvertOptions(**given), None if as_json else Stages())
    with path.open("rb") as stream:
        coverage = read_coverage(stream.read(file.manifest.program_size))
    facts: dict[str, Any] = {
        "output": str(path),
        "bytes": path.stat().st_size,
        "weight_bytes": file.manifest.weight_bytes,
        "seconds": perf_counter() - start,
        "methods": {name: method.graph_bytes for name, method in coverage.methods.items()},
        "verification": file.manifest.verification,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo()
    click.echo("\n".join(verification_lines(file.manifest.verification)))
    click.echo()
    count = len(coverage.methods)
    click.echo(f"{count} methods ({', '.join(coverage.methods)}): one XNNPACK delegate each, no operator outside")
    click.echo(
        f"{path}: {facts['bytes'] / 1e6:.2f} MB, of it weights {file.manifest.weight_bytes / 1e6:.2f} MB (once for "
        f"all methods), {facts['seconds']:.1f} s"
    )
