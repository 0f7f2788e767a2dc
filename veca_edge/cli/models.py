"""The model of a command that runs one on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from veca_edge.cli.progress import say

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model


def open_model(path: Path | None, threads: int | None = None) -> Model:
    """A model, opened without its engine's remarks.

    Args:
        path: its file; None for the packaged model.
        threads: as in `veca_edge.load`.

    Raises:
        VecaError: as of `veca_edge.load`.
    """
    from veca_edge.conversion.default import default_model_path
    from veca_edge.runtime.model import load
    from veca_edge.runtime.native import quiet

    path = path or default_model_path(say)
    with quiet():
        return load(path, threads=threads)
