"""Questions about paths that a user names: answers, or one line that says what is wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from veca_edge.errors import VecaError


def is_there(path: Path) -> bool:
    """Whether something bears this name; VecaError if that cannot be told (name too long, folder locked)."""
    return _mode(path) is not None


def is_regular(path: Path) -> bool:
    """Whether this is a regular file, links followed; VecaError if that cannot be told."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def _mode(path: Path) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - Path.stat says the same with more words
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VecaError(f"cannot read {shortened(path)}: {reason}") from None


def shortened(path: Path) -> str:
    """A path for a message: the end of it, if it is very long."""
    text = str(path)
    return text if len(text) <= 120 else f"…{text[-110:]}"
