"""`veca-edge profile`: what each run configuration costs on this device, for the governor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.options import InputPath, Number, threads_option
from veca_edge.cli.progress import Stages, command_line, echo_lines, next_step, say
from veca_edge.errors import VecaError, require
from veca_edge.files import is_there
from veca_edge.tables import Table, number

if TYPE_CHECKING:
    from veca_edge.governor.points import OperatingPoint
    from veca_edge.governor.quality import LatencyRow
    from veca_edge.governor.recommendation import Recommendation
    from veca_edge.runtime.model import Model
    from veca_edge.runtime.profile import Profile

EPILOG = """\b
Examples:
  veca-edge profile                       # the model that comes with the package
  veca-edge profile veca.pte --again      # for instance because the machine was busy
  veca-edge profile veca.pte --target-fps 15   # which operating point is right for 15 frames per second here
  veca-edge profile veca.pte --threads 1 --json
  veca-edge profile veca.pte --compare-threads   # whether fewer threads are faster here

\b
The profile is remembered per model file, threads, processor and version; `run --cores auto` and sessions use it,
and measure it themselves if it is not there.
"""
COLUMNS = ("size", "cores", "patch budget", "p50 ms", "p95 ms", "patches/frame")


@dataclass(frozen=True)
class ProfileRequest:
    """What to profile.

    Attributes:
        model: a model file; None for the packaged model.
        again: measure even if a profile is remembered.
        threads: for the engine; None for the number of big cores.
        target_fps: recommend an operating point for this many frames per second; None for no recommendation.
    """

    model: Path | None = None
    again: bool = False
    threads: int | None = None
    target_fps: float | None = None


@dataclass(frozen=True)
class Profiled:
    """A model's profile on this device.

    Attributes:
        name, digest: of the model.
        profile: what was measured, or remembered.
        rows: latency and fidelity of each configuration in the model file's quality table, the best first; a
            remembered profile may know more.
        recommendation: for the target rate, if one was named.
    """

    name: str
    digest: str
    profile: Profile
    rows: tuple[tuple[LatencyRow, float], ...]
    recommendation: Recommendation | None = None


@click.command("profile", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=InputPath())
@click.option("--again", is_flag=True, help="Measure even if a profile is remembered.")
@threads_option()
@click.option(
    "--target-fps",
    type=Number(min=1, max=240),
    help="Recommend one operating point for this many frames per second, and show its neighbours.",
)
@click.option(
    "--compare-threads",
    is_flag=True,
    help="Profile with one thread, half as many as big cores, and as many; say which is best at each image size.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(as_json: bool, compare_threads: bool, **given: Any) -> None:
    """Measure how long each run configuration takes on this device, and its energy where a counter tells it.

    MODEL is a .pte file; without it the model that comes with the package is measured. The first time
    takes up to 20 seconds (--compare-threads: for each number of threads).
    """
    request = ProfileRequest(**given)
    if compare_threads:
        _compare_threads(request, as_json)
        return
    profiled = profile(request, partial(Stages(), "measuring"))
    if as_json:
        click.echo(json.dumps(_facts(profiled), indent=1))
        return
    echo_lines(_lines(profiled))
    advice = profiled.recommendation
    if advice is not None and request.target_fps is not None:
        watts = profiled.profile.table.energies is not None
        echo_lines(["", *_advice(advice, request.target_fps, watts)])
    if profiled.profile.complaint:
        say(profiled.profile.complaint)
    if advice is not None and advice.point is not None:
        next_step(_command(request, advice.point))
    elif advice is None:
        command = command_line("profile", request.model, "--target-fps", 15)
        next_step(f"{command} recommends one of these for a frame rate")


def _compare_threads(request: ProfileRequest, as_json: bool) -> None:
    from veca_edge.cli.thread_table import compare_threads, show

    if request.threads is not None or request.target_fps is not None:
        raise click.UsageError("--compare-threads goes without --threads and --target-fps")
    compared = compare_threads(
        lambda threads: _open(replace(request, threads=threads)), request.again, partial(Stages(), "measuring")
    )
    show(compared, request.model, as_json)


def profile(request: ProfileRequest, advance: Callable[[float], None] = lambda _: None) -> Profiled:
    """Measure a model on this device, or recall what was measured.

    Args:
        advance: called with how much is measured, 0..1.

    Raises:
        VecaError: the model cannot be loaded, is no .pte file, or has no quality table.
    """
    from veca_edge.runtime.profile import profile_device, quality_of

    model = _open(request)
    found = profile_device(model, again=request.again, advance=advance)
    times = {row.configuration: row for row in found.table.rows}
    rows = tuple((times[row.configuration], row.fidelity) for row in quality_of(model).rows)
    return Profiled(model.name, model.digest, found, rows, _recommended(model, found, request.target_fps))


def _open(request: ProfileRequest) -> Model:
    for module in ("executorch", "cv2"):
        require(module, "run")
    from veca_edge.conversion.default import load
    from veca_edge.modelfile.pte import is_model_file

    path = request.model
    if path is not None and is_there(path) and not is_model_file(path):
        raise VecaError(f"{path}: only .pte files can be profiled: convert the checkpoint with `veca-edge convert`")
    return load(path, threads=request.threads, say=say)


def _recommended(model: Model, found: Profile, target_fps: float | None) -> Recommendation | None:
    from veca_edge.governor.recommendation import recommend
    from veca_edge.runtime.profile import quality_of

    if target_fps is None:
        return None
    return recommend(found.points(quality_of(model), target_fps, divisors=(1,)))


def _facts(profiled: Profiled) -> dict[str, Any]:
    """Everything, as plain values."""
    found = profiled.profile
    return {
        "model": profiled.name,
        "digest": profiled.digest,
        "device": asdict(found.device),
        "remembered": found.remembered,
        "seconds": found.seconds,
        "timed": found.timed,
        "other_work": found.others,
        "trusted": found.complaint is None,
        "rows": [asdict(row) | {"fidelity": fidelity} for row, fidelity in profiled.rows],
        "recommendation": None if profiled.recommendation is None else asdict(profiled.recommendation),
    }


def _advice(advice: Recommendation, target_fps: float, watts: bool = False) -> Iterator[str]:
    """The recommended point and its neighbours for a terminal; `watts` says what their power is in."""
    if advice.point is None:
        yield f"no operating point keeps {target_fps:g} fps here; the fastest:"
    else:
        yield f"for {target_fps:g} fps: {_point(advice.point, watts)}"
    for point in advice.cheaper:
        yield f"  less: {_point(point, watts)}"
    if advice.better is not None:
        late = "" if advice.better.slow * advice.better.rate <= 1 else "  (too slow for this rate)"
        yield f"  more: {_point(advice.better, watts)}{late}"


def _point(point: OperatingPoint, watts: bool) -> str:
    patches = "all patches" if point.patch_budget is None else f"at most {point.patch_budget} patches"
    power = f"{point.power:.2f} W" if watts else f"busy {100 * point.power:.0f} % of the time"
    return (
        f"{point.cores} cores, {point.image_size} px, {patches}: {1e3 * point.latency:.1f} ms median, "
        f"{1e3 * point.slow:.1f} ms 95th percentile, {power}, quality {point.quality:.3f}"
    )


def _command(request: ProfileRequest, point: OperatingPoint) -> str:
    """The run that uses a point."""
    budget = () if point.patch_budget is None else ("--patch-budget", point.patch_budget)
    size = ("--cores", point.cores, "--image-size", point.image_size)
    return command_line("run", request.model, *size, *budget, "--target-fps", f"{point.rate:g}")


def _lines(profiled: Profiled) -> Iterator[str]:
    """The profile for a terminal, the slowest configuration first."""
    found = profiled.profile
    device, total = found.device, len(found.table.rows)
    yield f"{profiled.name} on {device.processor}: {device.threads} of {device.cores} processors, {device.runtime}"
    yield ""
    energy = found.table.energies is not None
    columns = (*COLUMNS, *(["mJ/frame"] if energy else []), "fidelity")
    yield from Table(columns, tuple(_cells(row, energy, fidelity) for row, fidelity in profiled.rows)).lines()
    yield ""
    when = "remembered from an earlier measurement of" if found.remembered else "measured in"
    some = "" if found.timed >= total else f", {total - found.timed} of them interpolated"
    yield f"{total} run configurations{some}, {when} {found.seconds:.1f} s"


def _cells(row: LatencyRow, energy: bool, fidelity: float) -> tuple[str, ...]:
    configuration = (str(row.image_size), str(row.cores), number(row.patch_budget, "d"))
    times = (f"{1e3 * row.p50:.2f}", f"{1e3 * row.p95:.2f}")
    joules = (f"{1e3 * (row.joules or 0):.1f}",) if energy else ()
    return (*configuration, *times, f"{row.computed:.1f}", *joules, f"{fidelity:.3f}")
