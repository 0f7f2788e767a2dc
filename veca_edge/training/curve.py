"""A picture of a training run: the loss, and the accuracy on the `val` photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veca_edge.plotting import pyplot, save_figure
from veca_edge.training.state import read_log

COLOURS = ("#12857a", "#e08a00", "#0b6bcb", "#7a3fc4", "#c0392b", "#5f7f3a", "#8a5a2b", "#57606a")  # per budget
STYLES = ("-", "--", ":", "-.")  # per image size
INK, SOFT, FAINT = "#24292f", "#57606a", "#d9dde2"
SIZE = (9.2, 3.8)  # inches


def draw(path: Path, log: Path) -> None:
    """Draw a run from its log.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        log: JSON lines.

    Raises:
        VecaError: matplotlib is not installed, or the picture cannot be written.
    """
    plt = pyplot()

    lines = list(read_log(log))
    losses = [line for line in lines if "loss" in line]
    validations = [line for line in lines if "validation" in line]
    with plt.rc_context({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "font.family": "sans-serif"}):
        figure, (left, right) = plt.subplots(1, 2, figsize=SIZE, layout="constrained")
        left.plot([line["step"] for line in losses], [line["loss"] for line in losses], color=INK, lw=1.1)
        _dress(left, "loss, mean of the steps between two lines")
        _accuracies(right, validations)
        _dress(right, "top-1 on val, %")
        save_figure(figure, path)


def _accuracies(axis: Any, validations: list[dict[str, Any]]) -> None:
    """A line per image size and budget."""
    if not validations:
        axis.text(0.5, 0.5, "no validation yet", ha="center", transform=axis.transAxes, color=SOFT)
        return
    steps, last = [line["step"] for line in validations], validations[-1]["validation"]
    for number, (size, budgets) in enumerate(last.items()):
        for colour, cores in zip(COLOURS, budgets, strict=False):
            values = [100 * line["validation"][size][cores]["top1"] for line in validations]
            style, label = STYLES[number % len(STYLES)], f"{size} px, {cores} cores: {values[-1]:.1f} %"
            axis.plot(steps, values, style, color=colour, lw=1.4, label=label)
    axis.legend(frameon=False, fontsize=8, loc="lower right")


def _dress(axis: Any, title: str) -> None:
    axis.set_title(title, loc="left", color=INK, fontsize=10)
    axis.set_xlabel("step", color=SOFT)
    axis.grid(color=FAINT, lw=0.6)
    axis.tick_params(length=0, colors=SOFT)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
