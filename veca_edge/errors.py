"""Errors that a user can act on: one line that says what is wrong and what to do."""

from __future__ import annotations

import sys


class VecaError(Exception):
    """Bad usage or bad input. The command line prints the message and exits with status 2."""

    exit_status = 2


class VecaWarning(UserWarning):
    """Something works, but not as well as it could: one line that says what to do. The command line prints it."""


class StreamError(VecaError):
    """Something failed while running: a camera that went away, a disk that filled up. Exit status 1."""

    exit_status = 1


# The Python from which on there is no such package, and its extra leaves it out.
_ENDS = {"coremltools": (3, 14)}


def require(module: str, extra: str) -> None:
    """Raise a one-line VecaError if `module` is not installed, naming the extra that brings it.

    Args:
        module: importable top-level name, for example "cv2".
        extra: the package's extra that installs it, for example "run".
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        if sys.version_info >= (end := _ENDS.get(module, (4, 0))):
            before = ".".join(map(str, end))
            raise VecaError(f"this needs {module}, which there is not for Python {before}: use an older Python")
        raise VecaError(f"this needs {module}, which is not installed: pip install 'veca-edge[{extra}]'")
