"""Pictures of measurements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veca_edge.calibration.benchmark.stream_rows import StreamBenchmark, StreamRow
from veca_edge.plotting import pyplot, save_figure

# One colour per core budget, from the cheapest to the dearest.
COLOURS = ("#12857a", "#e08a00", "#0b6bcb", "#7a3fc4", "#c0392b", "#5f7f3a", "#8a5a2b", "#57606a")
MARKS = "os^vPX*"  # per patch budget, the largest first
INK, SOFT, FAINT = "#24292f", "#57606a", "#d9dde2"
TICKS = (0.2, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 500)  # ms
SIZE = (8.4, 4.6)  # inches


def draw(path: Path, result: StreamBenchmark) -> None:
    """Draw latency against fidelity, a line per core budget through its patch budgets.

    All clips together if there are several.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        result: what was measured.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    plt = pyplot()

    clip = result.pool or result.rows[0].clip
    rows = [row for row in result.rows if row.clip == clip]
    with plt.rc_context({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "font.family": "sans-serif"}):
        figure, axis = plt.subplots(figsize=SIZE, layout="constrained")
        budgets = sorted({row.patch_budget for row in rows}, key=lambda budget: -(budget or math.inf))
        marks = dict(zip(budgets, itertools.cycle(MARKS), strict=False))
        colours = dict(zip(sorted({row.cores for row in rows}), itertools.cycle(COLOURS), strict=False))
        for cores, colour in colours.items():
            by_budget = {row.patch_budget: row for row in rows if row.cores == cores}
            _line(axis, [by_budget[budget] for budget in budgets], colour, marks)
        _dress(axis, rows)
        _legend(axis, colours, marks)
        title = f"Streaming and full computation: {clip}, {rows[0].frames} frames, {result.image_size} px"
        axis.set_title(title, loc="left", color=INK, fontsize=11)
        save_figure(figure, path)


def _line(axis: Any, rows: list[StreamRow], colour: str, marks: Mapping[int | None, str]) -> None:
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


def _legend(axis: Any, colours: Mapping[int, str], marks: Mapping[int | None, str]) -> None:
    from matplotlib.lines import Line2D

    full = Line2D([], [], ls="", marker="D", ms=7, mfc="white", mec=SOFT, mew=1.6, label="every frame in full")
    handles = [Line2D([], [], color=colour, lw=4, label=f"{cores} cores") for cores, colour in colours.items()]
    handles.append(full)
    for budget, mark in marks.items():
        label = "streamed" if budget is None else f"streamed, at most {budget} patches"
        handles.append(Line2D([], [], ls="", marker=mark, ms=7, color=SOFT, label=label))
    handles.append(
        Line2D([], [], ls="", marker="_", ms=10, color=SOFT, alpha=0.6, label="5th percentile of frames")
    )
    axis.legend(handles=handles, loc="lower right", frameon=False, fontsize=9.5)


def _dress(axis: Any, rows: list[StreamRow]) -> None:
    times = [time for row in rows for time in (row.full_mean, row.streamed_mean)]
    axis.set_xscale("log")
    axis.set_xlim(min(times) / 1.15, max(times) * 1.15)
    low, high = axis.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)
    lowest = min(row.fidelity.p5 for row in rows)
    axis.set_ylim(lowest - 0.1 * (1 - lowest), 1 + 0.12 * (1 - lowest))
    axis.set_xlabel("mean time per frame, ms (logarithmic)", color=INK)
    axis.set_ylabel("feature cosine to full computation, mean", color=INK)
    axis.grid(color=FAINT, lw=0.6)
    axis.tick_params(length=0, colors=SOFT)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
