"""Errors that a user can act on: one line that says what is wrong and what to do."""

from veca_edge.encoding import printable


class VecaError(Exception):
    """Bad usage or bad input. The command line prints the message and exits with status 2."""

    exit_status = 2

    def __str__(self) -> str:
        return printable(super().__str__())  # paths in it may hold bytes that are no text


class VecaWarning(UserWarning):
    """Something works, but not as well as it could: one line that says what to do. The command line prints it."""

    def __str__(self) -> str:
        return printable(super().__str__())


class StreamError(VecaError):
    """Something failed while running: a camera that went away, a disk that filled up. Exit status 1."""

    exit_status = 1


def is_installed(module: str) -> bool:
    """Whether `module`, an importable top-level name, can be imported."""
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ValueError:  # another thread is importing it just now, and it replaces itself meanwhile, as cv2 does
        return True


def require(module: str, extra: str) -> None:
    """Raise a one-line VecaError if `module` is not installed, naming the extra that brings it.

    Args:
        module: importable top-level name, for example "cv2".
        extra: the package's extra that installs it, for example "run".
    """
    if not is_installed(module):
        raise VecaError(f"this needs {module}, which is not installed: pip install 'veca-edge[{extra}]'")
