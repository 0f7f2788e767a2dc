"""A picture of which layers lose what: one map per precision, blocks across, kinds of layer down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.plotting import pyplot, save_figure

if TYPE_CHECKING:
    from veca_edge.calibration.quantization.findings import Report

PARTS = ("even", "odd", "value", "out", "gate", "up", "down")
WORDS = ("queries, keys: even", "queries, keys: odd", "values", "attention out", "gate", "up", "down")
KINDS = ("int8", "int4", "fp16")
NIGHT, PALE, GREY = "#11151c", "#e6e9ee", "#8b95a3"
DECADES = 5  # of colours below the worst
FLOOR = 1e-9

Float = NDArray[np.float64]


def draw_sensitivity(path: Path, report: Report) -> None:
    """Draw what each layer loses at each precision, at the budget where it loses most.

    The patch embedding is a column before the first block, a projection one after the last. If a recipe was chosen,
    its layers are framed in the map of their precision.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        report: what was measured.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    plt = pyplot()
    from matplotlib.colors import LogNorm

    maps = {kind: _map(report, kind) for kind in KINDS if any(row.precision == kind for row in report.rows)}
    top = max(float(np.nanmax(np.stack(list(maps.values())))), FLOOR)
    norm = LogNorm(top / 10**DECADES, top)
    columns = maps["int8"].shape[1]
    names = ["patch", *map(str, range(_blocks(report))), "proj."][:columns]
    style: Any = {"font.size": 10, "text.color": PALE, "font.family": "sans-serif", "axes.edgecolor": NIGHT}
    with plt.rc_context(style):
        size = (2.4 + 0.42 * columns, 1.2 + 2.3 * len(maps))
        figure, axes = plt.subplots(len(maps), figsize=size, layout="constrained", facecolor=NIGHT)
        for axis, (kind, values) in zip(axes, maps.items(), strict=True):
            image = axis.imshow(np.maximum(values, FLOOR), norm=norm, cmap="inferno", aspect="auto")
            _dress(axis, f"{kind}, at most {np.nanmax(values):.1e}", names)
            if report.chosen is not None:
                _frame(axis, _places(report, kind))
        bar = figure.colorbar(image, ax=axes, extend="min", shrink=0.6, pad=0.02)
        bar.ax.tick_params(length=0, colors=GREY)
        bar.outline.set_visible(False)
        bar.set_label("lost of the mean cosine by this layer alone", color=GREY)
        figure.suptitle(_title(report), color=PALE, fontsize=11, x=0.01, ha="left")
        save_figure(figure, path, background=NIGHT)


def _title(report: Report) -> str:
    cores = " and ".join(map(str, report.model["budgets"]))
    framed = "" if report.chosen is None else "\nframed: the chosen recipe"
    return f"{report.model['name']}: what each layer loses\nat the worst of {cores} cores{framed}"


def _cells(layer: str, blocks: int) -> tuple[slice, int]:
    """Rows and column of a layer."""
    if "." not in layer:
        return slice(0, len(PARTS)), 0 if layer == "patch" else blocks + 1
    _, block, part = layer.split(".")
    row = PARTS.index(part)
    return slice(row, row + 1), int(block) + 1


def _map(report: Report, kind: str) -> Float:
    """What is lost at one precision: (parts, 1 + blocks [+ 1]), nan where there is no layer."""
    blocks = _blocks(report)
    projected = any(row.layer == "projection" for row in report.rows)
    values = np.full((len(PARTS), 1 + blocks + projected), np.nan)
    for row in report.rows:
        if row.precision == kind:
            place = _cells(row.layer, blocks)
            values[place] = np.fmax(values[place], row.loss.fidelity)
    return values


def _places(report: Report, kind: str) -> list[tuple[slice, int]]:
    """Cells of the layers that the chosen recipe stores this way."""
    if report.chosen is None:
        return []
    layers = dict.fromkeys(row.layer for row in report.rows)
    recipe = report.chosen.recipe
    return [_cells(layer, _blocks(report)) for layer in layers if recipe.precision_of(layer) == kind]


def _blocks(report: Report) -> int:
    return 1 + max(int(row.layer.split(".")[1]) for row in report.rows if "." in row.layer)


def _frame(axis: Any, places: list[tuple[slice, int]]) -> None:
    from matplotlib.patches import Rectangle

    for rows, column in places:
        corner, height = (column - 0.44, rows.start - 0.42), rows.stop - rows.start - 0.16
        axis.add_patch(Rectangle(corner, 0.88, height, fill=False, ec=PALE, lw=1.1))


def _dress(axis: Any, title: str, names: list[str]) -> None:
    axis.set_facecolor(NIGHT)
    axis.set_title(title, loc="left", color=PALE, fontsize=11)
    axis.set_yticks(range(len(PARTS)), WORDS)
    axis.set_xticks(range(len(names)), names)
    axis.tick_params(length=0, colors=GREY, labelsize=8.5)
    for side in axis.spines.values():
        side.set_visible(False)
