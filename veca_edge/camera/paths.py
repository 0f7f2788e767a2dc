"""Names of files as a user writes them."""

from __future__ import annotations

from pathlib import Path

from veca_edge.errors import VecaError


def expanded(path: str | Path) -> Path:
    """The path with a leading `~` or `~user` replaced; a VecaError if there is no such home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise VecaError(f"there is no home folder for {Path(path).parts[0]}") from None
