"""A picture of a training run: loss, and accuracy on the `val` photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veca_edge.plotting import COLOURS, INK, SOFT, figure, title
from veca_edge.training.state import read_log

STYLES = ("-", "--", ":", "-.")  # per image size
SIZE = (9.2, 3.8)  # inches


def draw(path: Path, log: Path) -> None:
    """Draw a run from its log.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        log: JSON lines.

    Raises:
        VecaError: matplotlib is not installed, or the picture cannot be written.
    """
    lines = list(read_log(log))
    losses = [line for line in lines if "loss" in line]
    with figure(path, 1, 2, size=SIZE) as (_, ((left, right),)):
        left.plot([line["step"] for line in losses], [line["loss"] for line in losses], color=INK, lw=1.1)
        title(left, "loss, mean over the steps of a log line")
        _accuracies(right, [line for line in lines if "validation" in line])
        title(right, "top-1 on val, %")
        for axis in (left, right):
            axis.set_xlabel("step", color=SOFT)


def _accuracies(axis: Any, validations: list[dict[str, Any]]) -> None:
    """A line per image size and budget."""
    if not validations:
        axis.text(0.5, 0.5, "no validation yet", ha="center", transform=axis.transAxes, color=SOFT)
        return
    steps = [line["step"] for line in validations]
    last = validations[-1]["validation"]
    classified = {size: budgets for size, budgets in last.items() if all("top1" in at for at in budgets.values())}
    for style, (size, budgets) in zip(4 * STYLES, classified.items(), strict=False):
        for colour, cores in zip(COLOURS, budgets, strict=False):
            values = [100 * line["validation"][size][cores]["top1"] for line in validations]
            label = f"{size} px, {cores} cores: {values[-1]:.1f} %"
            axis.plot(steps, values, style, color=colour, lw=1.4, label=label)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
