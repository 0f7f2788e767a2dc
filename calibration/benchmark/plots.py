"""Pictures of measurements: latency by image size and baseline, over minutes, and of streams against fidelity."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veca_edge.calibration.benchmark.against.comparison import OURS, Comparison
from veca_edge.calibration.benchmark.latency import Benchmark, Row
from veca_edge.calibration.benchmark.stream_rows import StreamBenchmark, StreamRow
from veca_edge.calibration.benchmark.sustained import SustainedBenchmark
from veca_edge.plotting import COLOURS, INK, MARKS, SIZE, SOFT, figure, title

BASELINE_COLOURS = (SOFT, "#c0392b", "#7a3fc4", "#8a5a2b", "#5f7f3a", "#b0417f", "#2f6f9f", "#a08000", "#404040")
SENSED = (("celsius", "°C, hottest"), ("clock", "clock, share"), ("watts", "W"))
FEW_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)  # ms
TICKS = (0.2, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 500)  # ms


def draw_latency(path: Path, result: Benchmark) -> None:
    """Draw latency against image size, a line per core budget with whiskers to the 95th percentile.

    Baselines are drawn at the largest budget, with hollow marks.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        result: what was measured.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    with figure(path) as (_, ((axis,),)):
        most = max(row.cores for row in result.rows)
        colours = itertools.cycle(COLOURS)
        for cores in dict.fromkeys(row.cores for row in result.rows):
            _budget_line(axis, [row for row in result.rows if row.cores == cores], next(colours))
        theirs = [one for one in result.comparisons if one.cores == most and one.runtime != OURS]
        names = dict.fromkeys((one.runtime, one.precision) for one in theirs)
        looks = zip(names, itertools.cycle(BASELINE_COLOURS), itertools.cycle(MARKS), strict=False)
        for name, colour, mark in looks:
            _baseline_line(axis, [one for one in theirs if (one.runtime, one.precision) == name], colour, mark)
        _scale_sizes(axis, [row.image_size for row in result.rows])
        times = [row.encode.p50 for row in result.rows] + [one.latency.p50 for one in theirs]
        _scale_times(axis, "y", times, 1.25, FEW_TICKS)
        axis.set_ylabel("ms (logarithmic)", color=INK)
        title(axis, f"{result.name}, {result.quantization}: latency, median")
        axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))


def draw_sustained(path: Path, result: SustainedBenchmark) -> None:
    """Draw latency over time, a line per operating point with a band to the 95th percentile.

    Below it temperature and clock, where sensors told them. Arguments and errors are those of `draw_latency`.
    """
    shown = [one for one in SENSED if any(getattr(moment, one[0]) is not None for moment in result.conditions)]
    size, ratios = (SIZE[0], SIZE[1] + 1.4 * len(shown)), [3] + [1] * len(shown)
    with figure(path, 1 + len(shown), size=size, sharex=True, height_ratios=ratios) as (_, axes):
        first = axes[0, 0]
        for point, colour in zip(result.points, itertools.cycle(COLOURS), strict=False):
            minutes = [moment.minute for moment in point.history]
            p50, p95 = ([getattr(moment, name) for moment in point.history] for name in ("p50", "p95"))
            first.fill_between(minutes, p50, p95, color=colour, alpha=0.15, lw=0)
            first.plot(minutes, p50, color=colour, lw=1.5, label=f"{point.cores} cores, {point.image_size} px")
        first.set_ylim(bottom=0)
        first.set_ylabel("ms per call, median to p95", color=INK)
        first.legend(frameon=False, fontsize=9.5, loc="lower right")
        title(first, f"{result.name}, {result.quantization}: sustained")
        for axis, (name, label) in zip(axes[1:, 0], shown, strict=True):
            known = [(one.minute, getattr(one, name)) for one in result.conditions]
            axis.plot(*zip(*(pair for pair in known if pair[1] is not None), strict=True), color=SOFT, lw=1.4)
            axis.set_ylabel(label, color=INK)
        axes[-1, 0].set_xlabel("minutes", color=INK)


def draw_streams(path: Path, result: StreamBenchmark) -> None:
    """Draw latency against fidelity, a line per core budget through its patch budgets.

    All clips together if there are several. Arguments and errors are those of `draw_latency`.
    """
    clip = result.pool or result.rows[0].clip
    rows = [row for row in result.rows if row.clip == clip]
    with figure(path) as (_, ((axis,),)):
        budgets = sorted({row.patch_budget for row in rows}, key=lambda budget: -(budget or math.inf))
        marks = dict(zip(budgets, itertools.cycle(MARKS), strict=False))
        colours = dict(zip(sorted({row.cores for row in rows}), itertools.cycle(COLOURS), strict=False))
        for cores, colour in colours.items():
            by_budget = {row.patch_budget: row for row in rows if row.cores == cores}
            _stream_line(axis, [by_budget[budget] for budget in budgets], colour, marks)
        _scale_times(axis, "x", [time for row in rows for time in (row.full_mean, row.streamed_mean)], 1.15, TICKS)
        lowest = min(row.fidelity.p5 for row in rows)
        axis.set_ylim(lowest - 0.1 * (1 - lowest), 1 + 0.12 * (1 - lowest))
        axis.set_xlabel("mean time per frame, ms (logarithmic)", color=INK)
        axis.set_ylabel("feature cosine to full computation, mean", color=INK)
        _stream_legend(axis, colours, marks)
        title(axis, f"Streaming and full computation: {clip}, {rows[0].frames} frames, {result.image_size} px")


def _budget_line(axis: Any, rows: Sequence[Row], colour: str) -> None:
    sizes, times = [row.image_size for row in rows], [row.encode.p50 for row in rows]
    above = [row.encode.p95 - row.encode.p50 for row in rows]
    axis.errorbar(sizes, times, yerr=[[0] * len(rows), above], color=colour, lw=1.2, alpha=0.5, capsize=3, ls="")
    axis.plot(sizes, times, "o-", color=colour, lw=1.6, ms=6, label=f"{rows[0].cores} cores", zorder=5)


def _baseline_line(axis: Any, found: Sequence[Comparison], colour: str, mark: str) -> None:
    sizes, times = [one.image_size for one in found], [one.latency.p50 for one in found]
    name = f"{found[0].runtime} {found[0].precision}"
    axis.plot(sizes, times, ls=(0, (2, 2)), marker=mark, mfc="white", color=colour, lw=1, ms=6, label=name)


def _stream_line(axis: Any, rows: Sequence[StreamRow], colour: str, marks: Mapping[int | None, str]) -> None:
    """One core budget: hollow for full computation, filled for streaming, whiskers down to the 5th percentile."""
    full = rows[0].full_mean
    times, means = [row.streamed_mean for row in rows], [row.fidelity.mean for row in rows]
    below = [mean - row.fidelity.p5 for mean, row in zip(means, rows, strict=True)]
    axis.errorbar(times, means, yerr=[below, [0] * len(rows)], color=colour, lw=1.2, alpha=0.4, capsize=3, ls="")
    axis.plot([full, times[0]], [1, means[0]], color=colour, lw=1, ls=(0, (2, 3)))
    axis.plot(times, means, color=colour, lw=1.4, zorder=4)
    for index, row in enumerate(rows):
        # The first is the largest, so that another one at the same place does not hide it.
        look = {"ms": 8 if index else 12, "mec": "white", "mew": 0.8, "zorder": 5}
        axis.plot(row.streamed_mean, row.fidelity.mean, marks[row.patch_budget], color=colour, **look)
    axis.plot(full, 1, "D", ms=8, mfc="white", mec=colour, mew=2, zorder=6)


def _stream_legend(axis: Any, colours: Mapping[int, str], marks: Mapping[int | None, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, lw=4, label=f"{cores} cores") for cores, colour in colours.items()]
    full = Line2D([], [], ls="", marker="D", ms=7, mfc="white", mec=SOFT, mew=1.6, label="every frame in full")
    handles.append(full)
    for budget, mark in marks.items():
        label = "streamed" if budget is None else f"streamed, at most {budget} patches"
        handles.append(Line2D([], [], ls="", marker=mark, ms=7, color=SOFT, label=label))
    low = Line2D([], [], ls="", marker="_", ms=10, color=SOFT, alpha=0.6, label="5th percentile of frames")
    handles.append(low)
    axis.legend(handles=handles, loc="lower right", frameon=False, fontsize=9.5)


def _scale_times(axis: Any, side: str, times: Sequence[float], margin: float, ticks: Sequence[float]) -> None:
    """A logarithmic scale of milliseconds on the side "x" or "y"; finer ticks where the given ones are too few."""
    low, high = min(times) / margin, max(times) * margin
    few, many = ([tick for tick in some if low <= tick <= high] for some in (ticks, TICKS))
    shown = few if len(few) > 2 else many
    axis.set(**{f"{side}scale": "log", f"{side}lim": (low, high)})
    set_ticks = getattr(axis, f"set_{side}ticks")
    set_ticks(shown, [f"{tick:g}" for tick in shown])
    set_ticks([], minor=True)


def _scale_sizes(axis: Any, sizes: Sequence[int]) -> None:
    different = sorted(set(sizes))
    axis.set(xscale="log", xlim=(different[0] / 1.1, different[-1] * 1.1))
    axis.set_xticks(different, [f"{size} px" for size in different])
    axis.set_xticks([], minor=True)
