"""`veca-edge profile`: how long each way of running takes on this device, for the governor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.options import InputPath
from veca_edge.cli.progress import Stages, say
from veca_edge.errors import VecaError, require

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model
    from veca_edge.runtime.profile import Profile

EPILOG = """\b
Examples:
  veca-edge profile                       # the model that comes with the package
  veca-edge profile veca.pte --again      # measured anew, for instance because the machine was busy
  veca-edge profile veca.pte --threads 1 --json

\b
The profile is remembered per model file, threads, processor and version; `run --cores auto` and sessions use it,
and measure it themselves if it is not there.
"""


@click.command("profile", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=InputPath())
@click.option("--again", is_flag=True, help="Measure anew, whatever is remembered.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads; the number of big cores by default.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(model: Path | None, again: bool, threads: int | None, as_json: bool) -> None:
    """Measure what the governor needs of this device.

    MODEL is a .pte file; without it the model that comes with the package is measured. It takes up to 20 seconds
    the first time.
    """
    for module, extra in (("executorch", "run"), ("cv2", "run")):
        require(module, extra)
    opened = _open(model, threads)
    from veca_edge.runtime.profile import profile_device

    stages = Stages()
    profile = profile_device(opened, again=again, advance=lambda done: stages("measuring", done))
    if as_json:
        click.echo(json.dumps(_facts(opened, profile), indent=1))
        return
    click.echo("\n".join(_lines(opened, profile)))
    if profile.complaint:
        say(profile.complaint)


def _open(path: Path | None, threads: int | None) -> Model:
    """The model, if streams run on it.

    Raises:
        VecaError: it cannot be loaded, or is no .pte file.
    """
    from veca_edge.conversion.default import default_model_path
    from veca_edge.files import is_there
    from veca_edge.modelfile.pte import is_model_file
    from veca_edge.runtime.model import load

    if path is not None and is_there(path) and not is_model_file(path):
        raise VecaError(f"{path}: profiles are for .pte files: convert the checkpoint with `veca-edge convert`")
    return load(path or default_model_path(say), threads=threads)


def _facts(model: Model, profile: Profile) -> dict[str, Any]:
    """Everything, as plain values."""
    worth = _worth(model)
    return {
        "model": model.name,
        "digest": model.digest,
        "device": asdict(profile.device),
        "remembered": profile.remembered,
        "seconds": profile.seconds,
        "timed": profile.timed,
        "other_work": profile.others,
        "trusted": profile.complaint is None,
        "rows": [asdict(row) | {"fidelity": worth[row.configuration]} for row in _rows(model, profile)],
    }


def _lines(model: Model, profile: Profile) -> Iterator[str]:
    """The profile for a terminal, the dearest way first."""
    worth, device = _worth(model), profile.device
    yield f"{model.name} on {device.processor}: {device.threads} of {device.cores} processors, {device.runtime}"
    yield ""
    yield "  size  cores  patch budget   p50 ms   p95 ms  patches/frame  fidelity"
    for row in _rows(model, profile):
        budget = "-" if row.patch_budget is None else str(row.patch_budget)
        yield (
            f"  {row.image_size:>4}  {row.cores:>5}  {budget:>12}  {1e3 * row.p50:>7.2f}  {1e3 * row.p95:>7.2f}"
            f"  {row.computed:>13.1f}  {worth[row.configuration]:>8.3f}"
        )
    yield ""
    when = "remembered from an earlier measurement of" if profile.remembered else "measured in"
    ways = len(profile.table.rows)
    some = "" if profile.timed >= ways else f", {ways - profile.timed} of them interpolated"
    yield f"{ways} ways of running{some}, {when} {profile.seconds:.1f} s"


def _worth(model: Model) -> dict[Any, float]:
    from veca_edge.runtime.profile import quality_of

    return {row.configuration: row.fidelity for row in quality_of(model).rows}


def _rows(model: Model, profile: Profile) -> list[Any]:
    """The rows of ways that the model file judges; a remembered profile may have more."""
    worth = _worth(model)
    return [row for row in profile.table.rows if row.configuration in worth]
