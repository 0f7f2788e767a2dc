"""Pictures drawn with matplotlib, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, replacing

ENDINGS = (".png", ".svg", ".pdf")


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
