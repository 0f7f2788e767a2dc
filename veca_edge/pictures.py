"""Pictures drawn with matplotlib, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import replacing


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
