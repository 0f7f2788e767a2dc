"""A picture of a quality table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veca_edge.governor.quality import QualityRow, QualityTable
from veca_edge.plotting import COLOURS, INK, MARKS, SOFT, figure, title


def draw_quality(path: Path, table: QualityTable, name: str) -> None:
    """Draw fidelity against cores, a colour per image size and a mark per patch budget.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        table: of a model file.
        name: above it.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    with figure(path) as (_, ((axis,),)):
        sizes = sorted({row.image_size for row in table.rows}, reverse=True)
        colours = dict(zip(sizes, itertools.cycle(COLOURS), strict=False))
        by_line: dict[tuple[int, float], list[QualityRow]] = {}
        for row in table.rows:
            by_line.setdefault((row.image_size, _budget(table, row)), []).append(row)
        budgets = sorted({budget for _, budget in by_line}, reverse=True)
        marks = dict(zip(budgets, itertools.cycle(MARKS), strict=False))
        for (size, budget), rows in by_line.items():
            _line(axis, rows, colours[size], marks[budget])
        _scale(axis, table)
        _legend(axis, colours, marks)
        title(axis, name)


def _budget(table: QualityTable, row: QualityRow) -> float:
    """A row's patch budget; infinite where it lets all patches of its image size through."""
    known = [other.patch_budget for other in table.rows if other.image_size == row.image_size]
    most = max(math.inf if budget is None else budget for budget in known)
    budget = math.inf if row.patch_budget is None else row.patch_budget
    return math.inf if budget == most else budget


def _line(axis: Any, rows: list[QualityRow], colour: str, mark: str) -> None:
    """One image size and patch budget; all patches are drawn largest, so that what lies upon them shows."""
    line = sorted(rows, key=lambda row: row.cores)
    whole = mark == MARKS[0]
    look = {"lw": 1.6, "ls": "-", "ms": 12} if whole else {"lw": 0.9, "ls": (0, (2, 3)), "ms": 7}
    x, y = [row.cores for row in line], [row.fidelity for row in line]
    axis.plot(x, y, marker=mark, color=colour, mec="white", mew=0.8, zorder=4 if whole else 5, **look)


def _legend(axis: Any, colours: Mapping[int, str], marks: Mapping[float, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, lw=4, label=f"{size} px") for size, colour in colours.items()]
    for budget, mark in marks.items():
        label = "all patches" if budget == math.inf else f"at most {budget} a frame"
        handles.append(Line2D([], [], ls="", marker=mark, ms=7, color=SOFT, label=label))
    axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9.5)


def _scale(axis: Any, table: QualityTable) -> None:
    cores = sorted({row.cores for row in table.rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(cores, [str(count) for count in cores])
    axis.set_xticks([], minor=True)
    lowest = min(row.fidelity for row in table.rows)
    axis.set_ylim(max(0.0, lowest - 0.08 * (1 - lowest)), 1 + 0.03 * (1 - lowest))
    axis.set_xlabel("cores", color=INK)
    axis.set_ylabel("fidelity to all cores and patches in fp32", color=INK)
