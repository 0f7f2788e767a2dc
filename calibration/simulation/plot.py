"""Pictures of simulated runs: one column per scenario, time to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veca_edge.calibration.simulation.evaluate import Moment
from veca_edge.calibration.simulation.scenarios import Scenario
from veca_edge.plotting import INK, SOFT, figure

# Policy -> colour, line width, order. The governor stands out, what it is compared with stays behind.
STYLES = {
    "balanced": ("#0b6bcb", 2.2, 9),
    "quality": ("#7a3fc4", 1.8, 8),
    "saver": ("#12857a", 1.8, 8),
    "thermal-level": ("#e08a00", 1.3, 5),
    "fixed-64": ("#c0392b", 1.3, 4),
    "fixed-8": ("#8a8f98", 1.3, 3),
    "cores-only": ("#5f7f3a", 1.3, 3),
    "resolution-only": ("#b5651d", 1.3, 3),
}
GOVERNORS = ("balanced", "quality", "saver")
WINDOW = 30  # seconds over which lateness and quality are averaged
Runs = Mapping[str, Sequence[Moment]]


def draw_runs(path: Path, runs: Sequence[tuple[Scenario, Runs]]) -> None:
    """Draw runs into a file.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        runs: scenarios, each with the moments of every policy.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    size, ratios = (1.4 + 4.8 * len(runs), 7.4), (3, 1.5, 2.2, 2)
    with figure(path, 4, len(runs), size=size, font=9, sharex="col", height_ratios=ratios) as (whole, axes):
        for column, (scenario, by_policy) in enumerate(runs):
            _column(axes[:, column], scenario, by_policy, first=column == 0)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        whole.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)


def _column(axes: Any, scenario: Scenario, runs: Runs, first: bool) -> None:
    heat, late, quality, dials = axes
    heat.set_title(f"{scenario.name}\n", fontsize=11, fontweight="bold", loc="left", color=INK)
    heat.text(0, 1.03, scenario.about, transform=heat.transAxes, fontsize=8.5, color=SOFT)
    for name, moments in runs.items():
        colour, width, order = STYLES[name]
        look = {"color": colour, "lw": width, "zorder": order}
        minutes = [moment.minute for moment in moments]
        heat.plot(minutes, [moment.case for moment in moments], label=name, **look)
        late.plot(minutes, _averaged([100 * m.misses / m.rate for m in moments]), **look)
        quality.plot(minutes, _averaged([moment.quality for moment in moments]), **look)
    hottest = max(moment.case for moments in runs.values() for moment in moments)
    if hottest > scenario.skin_limit - 5:
        heat.axhspan(
            scenario.skin_limit, max(hottest, scenario.skin_limit) + 0.8, color="#c0392b", alpha=0.08, lw=0
        )
        heat.axhline(scenario.skin_limit, color="#c0392b", lw=0.9, ls=(0, (4, 3)))
        note = {"fontsize": 8, "color": "#c0392b", "va": "bottom", "ha": "left"}
        heat.text(0.01, scenario.skin_limit + 0.1, "skin limit", transform=heat.get_yaxis_transform(), **note)
    late.set_ylim(-4, 104)
    lowest = min(moment.quality for moments in runs.values() for moment in moments)
    quality.set_ylim(min(0.9, lowest) - 0.02, 1.01)
    governor = next((name for name in GOVERNORS if name in runs), next(iter(runs)))
    _dials(dials, runs[governor])
    dials.set_xlabel("minutes")
    labels = ("case, °C", "late results, %", "quality", f"{governor}:\nshare of its best")
    for axis, label in zip(axes, labels, strict=True):
        axis.set_ylabel(label if first else "", color=INK)
        axis.margins(x=0)


def _dials(axis: Any, moments: Sequence[Moment]) -> None:
    """The governor's four dials, each as a share of its most."""
    points = [moment.point for moment in moments]
    rows = {
        "cores": [float(point.cores) for point in points],
        "size": [float(point.image_size) for point in points],
        "patches": [point.patches for point in points],
        "rate": [point.rate for point in points],
    }
    minutes = [moment.minute for moment in moments]
    colours = {"cores": "#0b6bcb", "size": "#7a3fc4", "patches": "#12857a", "rate": "#e08a00"}
    for offset, (dial, values) in enumerate(rows.items()):
        # Shifted by a hair, so that equal ones stay visible.
        shown = [value / (max(values) or 1) - 0.02 * offset for value in values]
        axis.step(minutes, shown, where="post", color=colours[dial], lw=1.5)
        axis.text(
            1.01, 1 - 0.24 * offset, dial, transform=axis.transAxes, color=colours[dial], fontsize=8, va="top"
        )
    axis.set_ylim(-0.06, 1.06)


def _averaged(values: Sequence[float]) -> list[float]:
    """Mean over the last `WINDOW` values."""
    total, means = 0.0, []
    for index, value in enumerate(values):
        total += value - (values[index - WINDOW] if index >= WINDOW else 0.0)
        means.append(total / min(index + 1, WINDOW))
    return means
