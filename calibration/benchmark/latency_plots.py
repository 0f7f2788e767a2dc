"""Pictures of latency: per core budget and image size, beside other runtimes, and over minutes of work."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veca_edge.calibration.benchmark.against.comparison import OURS, Comparison
from veca_edge.calibration.benchmark.latency import Benchmark, Row
from veca_edge.calibration.benchmark.stream_plots import COLOURS, FAINT, INK, MARKS, SIZE, SOFT, TICKS
from veca_edge.calibration.benchmark.sustained import SustainedBenchmark, Weather
from veca_edge.plotting import pyplot, save_figure

RIVAL_COLOURS = ("#57606a", "#c0392b", "#7a3fc4", "#8a5a2b", "#5f7f3a", "#b0417f", "#2f6f9f", "#a08000", "#404040")
FEW_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)  # ms


def draw_benchmark(path: Path, result: Benchmark) -> None:
    """Draw latency against image size, a line per core budget with whiskers to the 95th percentile.

    Other runtimes are drawn at the largest budget, with hollow marks.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        result: what was measured.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    with _figure(1) as (figure, (axis,)):
        most = max(row.cores for row in result.rows)
        colours = itertools.cycle(COLOURS)
        for cores in dict.fromkeys(row.cores for row in result.rows):
            _line(axis, [row for row in result.rows if row.cores == cores], next(colours))
        theirs = [one for one in result.comparisons if one.cores == most and one.runtime != OURS]
        names = dict.fromkeys((one.runtime, one.precision) for one in theirs)
        looks = zip(names, itertools.cycle(RIVAL_COLOURS), itertools.cycle(MARKS), strict=False)
        for name, colour, mark in looks:
            _rival(axis, [one for one in theirs if (one.runtime, one.precision) == name], colour, mark)
        times = [row.encode.p50 for row in result.rows] + [one.latency.p50 for one in theirs]
        _dress_sizes(axis, [row.image_size for row in result.rows], times)
        axis.set_title(f"{result.name}, {result.quantization}: latency, median", loc="left", color=INK, fontsize=11)
        axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
        save_figure(figure, path)


def draw_sustained(path: Path, result: SustainedBenchmark) -> None:
    """Draw latency over time, a line per operating point with a band to the 95th percentile.

    Below it temperature and clock, where sensors told them. Arguments and errors are those of `draw_benchmark`.
    """
    known = [("celsius", "°C, hottest"), ("clock", "clock, share"), ("watts", "W")]
    shown = [one for one in known if any(getattr(moment, one[0]) is not None for moment in result.weather)]
    with _figure(1 + len(shown)) as (figure, axes):
        for point, colour in zip(result.points, itertools.cycle(COLOURS), strict=False):
            minutes = [moment.minute for moment in point.history]
            p50, p95 = ([getattr(moment, name) for moment in point.history] for name in ("p50", "p95"))
            axes[0].fill_between(minutes, p50, p95, color=colour, alpha=0.15, lw=0)
            axes[0].plot(minutes, p50, color=colour, lw=1.5, label=f"{point.cores} cores, {point.image_size} px")
        axes[0].set_ylim(bottom=0)
        axes[0].set_ylabel("ms per call, median to p95", color=INK)
        axes[0].legend(frameon=False, fontsize=9.5, loc="lower right")
        axes[0].set_title(f"{result.name}, {result.quantization}: sustained", loc="left", color=INK, fontsize=11)
        for axis, (name, label) in zip(axes[1:], shown, strict=True):
            _weather(axis, result.weather, name, label)
        axes[-1].set_xlabel("minutes", color=INK)
        save_figure(figure, path)


@contextmanager
def _figure(panels: int) -> Iterator[tuple[Any, Sequence[Any]]]:
    plt = pyplot()

    width, height = SIZE
    with plt.rc_context({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "font.family": "sans-serif"}):
        figure, axes = plt.subplots(
            panels,
            squeeze=False,
            sharex=True,
            layout="constrained",
            figsize=(width, height + 1.4 * (panels - 1)),
            height_ratios=[3] + [1] * (panels - 1),
        )
        for axis in axes[:, 0]:
            axis.grid(color=FAINT, lw=0.6)
            axis.tick_params(length=0, colors=SOFT)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
        yield figure, list(axes[:, 0])


def _line(axis: Any, rows: list[Row], colour: str) -> None:
    sizes, times = [row.image_size for row in rows], [row.encode.p50 for row in rows]
    above = [row.encode.p95 - row.encode.p50 for row in rows]
    axis.errorbar(sizes, times, yerr=[[0] * len(rows), above], color=colour, lw=1.2, alpha=0.5, capsize=3, ls="")
    axis.plot(sizes, times, "o-", color=colour, lw=1.6, ms=6, label=f"{rows[0].cores} cores", zorder=5)


def _rival(axis: Any, found: list[Comparison], colour: str, mark: str) -> None:
    sizes, times = [one.image_size for one in found], [one.latency.p50 for one in found]
    name = f"{found[0].runtime} {found[0].precision}"
    axis.plot(sizes, times, ls=(0, (2, 2)), marker=mark, mfc="white", color=colour, lw=1, ms=6, label=name)


def _dress_sizes(axis: Any, sizes: Sequence[int], times: Sequence[float]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    low, high = min(times) / 1.25, max(times) * 1.25
    few, many = ([tick for tick in ticks if low <= tick <= high] for ticks in (FEW_TICKS, TICKS))
    ticks = few if len(few) > 2 else many
    axis.set_ylim(low, high)
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xlim(min(sizes) / 1.1, max(sizes) * 1.1)
    different = sorted(set(sizes))
    axis.set_xticks(different, [f"{size} px" for size in different])
    for one in (axis.xaxis, axis.yaxis):
        one.set_ticks([], minor=True)
    axis.set_ylabel("ms (logarithmic)", color=INK)


def _weather(axis: Any, weather: Sequence[Weather], name: str, label: str) -> None:
    known = [(one.minute, getattr(one, name)) for one in weather if getattr(one, name) is not None]
    axis.plot(*zip(*known, strict=True), color=SOFT, lw=1.4)
    axis.set_ylabel(label, color=INK)
