"""Pictures drawn with matplotlib in one style, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, replacing

ENDINGS = (".png", ".svg", ".pdf")
INK, SOFT, FAINT = "#24292f", "#57606a", "#d9dde2"  # text, ticks, grid
# One colour per line, from the cheapest to the dearest.
COLOURS = ("#12857a", "#e08a00", "#0b6bcb", "#7a3fc4", "#c0392b", "#5f7f3a", "#8a5a2b", "#57606a")
MARKS = "os^vPX*"  # one per kind of point, the largest first
SIZE = (8.4, 4.6)  # inches


def check_picture(path: Path, option: str = "--plot") -> Path:
    """Where a picture of this name would be written, see `check_target`.

    Raises:
        VecaError: matplotlib is not installed, the ending is of another format, or the target cannot be.
    """
    require("matplotlib", "plot")
    if path.suffix.lower() not in ENDINGS:
        raise VecaError(f"{option} {path.name}: use a name that ends in .png, .svg or .pdf")
    return check_target(path)


def pyplot() -> Any:
    """`matplotlib.pyplot`, which draws to files alone: no window, no screen.

    Raises:
        VecaError: matplotlib is not installed.
    """
    require("matplotlib", "plot")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


@contextmanager
def figure(
    path: Path, rows: int = 1, columns: int = 1, *, size: tuple[float, float] = SIZE, font: float = 10, **given: Any
) -> Iterator[tuple[Any, Any]]:
    """A figure in the common style and its axes, an array (rows, columns); written when the block ends.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        size: width and height in inches.
        font: size in points.
        given: more for `matplotlib.pyplot.subplots`.

    Raises:
        VecaError: matplotlib is not installed, or it cannot write such a file.
    """
    plt = pyplot()
    style = {"font.size": font, "axes.edgecolor": FAINT, "text.color": INK, "font.family": "sans-serif"}
    with plt.rc_context(style):
        drawn, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **given)
        for axis in axes.flat:
            axis.grid(color=FAINT, lw=0.6)
            axis.tick_params(length=0, colors=SOFT)
            axis.spines[["top", "right"]].set_visible(False)
        yield drawn, axes
        save_figure(drawn, path)


def title(axis: Any, text: str) -> None:
    """A title in which no character is a formula."""
    axis.set_title(text, loc="left", color=INK, fontsize=11, parse_math=False)


def save_figure(figure: Any, path: Path, dpi: int = 140, background: str = "white") -> None:
    """Write a matplotlib figure in the format that the name ends in, and close it.

    Raises:
        VecaError: the file cannot be written, or matplotlib does not know the format.
    """
    import matplotlib.pyplot as plt

    try:
        with replacing(path) as part:
            figure.savefig(part, dpi=dpi, facecolor=background)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise VecaError(f"cannot write {path}: {reason}") from None
    finally:
        plt.close(figure)
