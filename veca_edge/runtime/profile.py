"""How long each way of running takes on this device: measured at the first start, and remembered.

What a way of running is worth is in the model file; what it costs only the device knows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, require
from veca_edge.files import replacing
from veca_edge.governor import Front, LatencyTable, QualityTable, operating_points
from veca_edge.governor.quality import LatencyRow, Way
from veca_edge.runtime.change import ChangeSettings
from veca_edge.runtime.result import Result, computed_patches
from veca_edge.runtime.trust import cache_folder

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

SECONDS = 12.0  # that a profile should take
FEWEST, MOST = 10, 32  # frames per way of running
WARM_UP = 2  # frames that are not timed: the first call of a method loads it
START = 12  # frame of the packaged clip from which a hand moves in it

Image = NDArray[np.uint8]
Run = Callable[[Image], Result]


def front_of(
    model: Model,
    target_fps: float,
    image_size: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Front:
    """The operating points of a model on this device.

    Args:
        model: from a model file with a quality table.
        target_fps: frames per second that the app wants.
        image_size: keep to this one, in pixels; None for all that were judged.
        say: receives a line if something takes seconds.

    Raises:
        VecaError: no quality table, or none for that image size.
    """
    if not model.quality:
        raise VecaError("the model file does not judge its operating points: convert the checkpoint anew")
    rows = [row for row in model.quality.get("rows", ()) if image_size in (None, row.get("image_size"))]
    if not rows:
        judged = sorted({row.get("image_size") for row in model.quality.get("rows", ())})
        raise VecaError(f"{image_size} px was not judged at conversion: use one of {', '.join(map(str, judged))}")
    quality = QualityTable.from_rows(rows, model.quality.get("freshness"))
    latency = _device_latency(model, [row.way for row in quality.rows], say)
    return Front.of(operating_points(quality, latency, target_fps))


def opener(model: Model) -> Callable[[Way], Run]:
    """Opens a way of running afresh: what it returns is called with one frame after another."""

    def open_way(way: Way) -> Run:
        cores, size, budget = way
        if budget is None:
            return lambda frame: model(frame, cores=cores, image_size=size)
        return model.stream(cores, size, ChangeSettings(patch_budget=budget)).update

    return open_way


def latency_row(way: Way, times: Sequence[float], computed: Sequence[int]) -> LatencyRow:
    """A way's row, from the seconds and the computed patches of each frame."""
    seconds, patches = np.asarray(times), np.asarray(computed)
    p50, p95 = (float(value) for value in np.percentile(seconds, (50, 95)))
    return LatencyRow(*way, p50, p95, float(seconds.mean()), float(patches.mean()), *_line(seconds, patches))


def _line(times: NDArray[np.float64], computed: NDArray[np.int_]) -> tuple[float, float]:
    """Seconds without any patch, and per patch: least squares over frames that computed some, but not all."""
    partial = (computed > 0) & (computed < computed.max())
    if partial.sum() < FEWEST // 2 or np.ptp(computed[partial]) == 0:
        return float(np.median(times)), 0.0
    slope, base = np.polyfit(computed[partial], times[partial], 1)
    return (float(base), float(slope)) if slope > 0 and base > 0 else (float(np.median(times[partial])), 0.0)


def _device_latency(model: Model, ways: Sequence[Way], say: Callable[[str], None]) -> LatencyTable:
    path = cache_folder() / "profiles" / f"{model.digest[:24]}-{model.engine.threads}.json"
    with suppress(OSError, ValueError, VecaError):
        table = LatencyTable.from_rows(json.loads(path.read_text("utf-8")))
        if {row.way for row in table.rows} >= set(ways):
            return table
    say(f"measuring {len(ways)} ways of running on this device, once, for about {SECONDS:.0f} s")
    table = LatencyTable(tuple(profile(opener(model), ways, clip_frames())))
    with suppress(OSError):  # without a cache folder it is measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps(table.to_rows()), "utf-8")
    return table


def profile(open_way: Callable[[Way], Run], ways: Sequence[Way], frames: Sequence[Image]) -> Iterable[LatencyRow]:
    """Time every way of running over some frames of a clip.

    Args:
        open_way: see `opener`.
        ways: (cores, image size, patch budget).
        frames: uint8 (H, W, 3), RGB, at least `WARM_UP + FEWEST`.
    """
    dearest = open_way(max(ways, key=lambda way: (way[1], way[0])))
    pace = float(np.median([dearest(frame).latency for frame in frames[:5]]))
    # Most ways cost about half of the dearest.
    count = int(np.clip(SECONDS / (len(ways) * pace / 2), FEWEST, MOST)) + WARM_UP
    for way in ways:
        run = open_way(way)
        results = [run(frame) for frame in itertools.islice(itertools.cycle(frames), count)][WARM_UP:]
        yield latency_row(way, [r.latency for r in results], [computed_patches(r) for r in results])


def clip_frames(count: int = MOST + WARM_UP) -> list[Image]:
    """Frames of the packaged clip: uint8 (H, W, 3), RGB."""
    require("cv2", "run")
    from veca_edge.camera.sources import open_source

    with (
        resources.as_file(resources.files("veca_edge.assets") / "clip.mp4") as path,
        open_source(str(path)) as clip,
    ):
        return [frame.image for frame in itertools.islice(clip, START, START + count)]
