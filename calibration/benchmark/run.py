"""A measurement from end to end: the model made ready, measured, drawn and described, as one request asks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from veca_edge.calibration.benchmark.against.runtimes import RUNTIMES
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.errors import require
from veca_edge.plotting import check_picture
from veca_edge.runtime.machine import Machine, read_machine

if TYPE_CHECKING:
    from veca_edge.calibration.benchmark.report import Report

Say = Callable[[str], None]
Progress = Callable[[float], None]
Stages = Callable[[str, float], None]
DefaultModel = Callable[[Say], Path]


def bench(
    request: BenchRequest,
    default: DefaultModel,
    say: Say = lambda _: None,
    stages: Stages = lambda stage, done: None,
) -> Report:
    """Measure what a request asks for.

    Args:
        default: gives the packaged model's file.
        say: receives one line of progress at a time.
        stages: called with what is being done and how much of it is done, 0..1.

    Raises:
        VecaError: something in the request cannot be had, measured or written.
    """
    plot = None if request.plot is None else check_picture(request.plot)
    for module in ("torch", "executorch", *(["cv2"] if request.stream else [])):
        require(module, "run")
    machine = read_machine([package for name in request.against for package in RUNTIMES[name].packages])
    with tempfile.TemporaryDirectory(prefix="veca-edge-") as folder:
        report, draw = _measured(request, machine, Path(folder), default, say, partial(stages, "measuring"))
    if plot is not None:
        draw(plot)
    return report


def _measured(
    request: BenchRequest, machine: Machine, folder: Path, default: DefaultModel, say: Say, progress: Progress
) -> tuple[Report, Callable[[Path], None]]:
    """The report, and what draws the picture of it."""
    from veca_edge.calibration.benchmark.clips import find_clips
    from veca_edge.calibration.benchmark.latency import measure
    from veca_edge.calibration.benchmark.latency_report import describe_latency
    from veca_edge.calibration.benchmark.plots import draw_latency, draw_streams, draw_sustained
    from veca_edge.calibration.benchmark.stream_report import describe_streams
    from veca_edge.calibration.benchmark.streams import measure_streams
    from veca_edge.calibration.benchmark.sustained import measure_sustained
    from veca_edge.calibration.benchmark.sustained_report import describe_sustained
    from veca_edge.calibration.benchmark.target import prepare

    clips = find_clips(request.stream, request.frames, say)
    target = prepare(request, folder, say, default=default)
    if clips:
        streams = measure_streams(target, request, machine, clips, progress)
        return describe_streams(streams), partial(draw_streams, result=streams)
    if request.minutes is not None:
        sustained = measure_sustained(target, request, machine, progress)
        return describe_sustained(sustained), partial(draw_sustained, result=sustained)
    latency = measure(target, request, machine, progress, say)
    return describe_latency(latency), partial(draw_latency, result=latency)
