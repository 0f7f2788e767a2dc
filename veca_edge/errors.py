"""Errors that a user can act on: one line that says what is wrong and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain, islice
from numbers import Number

from veca_edge.encoding import visible

# The Python from which on there is no such package, and its extra leaves it out.
_ENDS = {"coremltools": (3, 14)}
LONGEST = 1200  # characters of a message: two of the longest names that files have, and a sentence
SHOWN = 60  # characters of a value in a message
_ENTRIES, _DEPTH, _DIGITS = 4, 3, 128  # of a value in a message: entries, tables in tables, bits of a number
_BRIEF = ("datetime", "pathlib")  # modules whose values are written briefly
_COLLECTIONS = (tuple, list, set, frozenset, dict)
_CONTROL = dict.fromkeys([*range(32), *range(127, 160), 0x2028, 0x2029], " ")


class VecaError(Exception):
    """Bad usage or bad input. The command line prints the message and exits with status 2.

    However long a message is given, its text is one line of at most `LONGEST` characters: beginning and end.
    """

    exit_status = 2

    def __init__(self, message: object = "") -> None:
        text = str(message)
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 + 3 :]}"
        super().__init__(visible(text.translate(_CONTROL)))  # paths may hold bytes that are no text


class VecaWarning(UserWarning):
    """Something works, but not as well as it could: one line that says what to do. The command line prints it."""

    def __str__(self) -> str:
        return visible(super().__str__())


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


def shown(value: object, most: int = SHOWN) -> str:
    """A value from outside, for a message: quoted, on one line, of at most `most` characters.

    Never more of a value is looked at than is shown, however large, deep or tangled it is, and nothing of it is
    called: of objects that are no plain values only the type is named.
    """
    text = _shown(value, most, _DEPTH)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _shown(value: object, most: int, depth: int) -> str:
    if isinstance(value, (str, bytes, bytearray)):
        return repr(value[:most])
    if isinstance(value, int) and not isinstance(value, bool) and int.bit_length(value) > _DIGITS:
        return f"a whole number of {int.bit_length(value)} bits"
    if value is None or isinstance(value, Number) or type(value).__module__ in _BRIEF:
        return repr(value)
    inner, count = depth - 1, len(value) if isinstance(value, _COLLECTIONS) else 0
    if isinstance(value, dict):
        pairs = dict.items(value)  # whatever a subclass makes of it
        texts = (f"{_shown(key, most, inner)}: {_shown(item, most, inner)}" for key, item in pairs)
        return f"{{{_first(texts, count, depth)}}}"
    if isinstance(value, _COLLECTIONS):
        text = _first((_shown(item, most, inner) for item in value), count, depth)
        if isinstance(value, tuple):
            return f"({text}{',' if count == 1 else ''})"
        return f"[{text}]" if isinstance(value, list) else f"{{{text}}}"
    return f"a {type(value).__name__}"


def _first(texts: Iterable[str], count: int, depth: int) -> str:
    """The first entries of a collection; only those that are shown are made."""
    if count and not depth:
        return "..."
    return ", ".join(chain(islice(texts, _ENTRIES), ["..."] if count > _ENTRIES else []))


def require(module: str, extra: str) -> None:
    """Raise a one-line VecaError if `module` is not installed, naming the extra that brings it.

    Args:
        module: importable top-level name, for example "cv2".
        extra: the package's extra that installs it, for example "run".
    """
    if not is_installed(module):
        if sys.version_info >= (end := _ENDS.get(module, (4, 0))):
            before = ".".join(map(str, end))
            raise VecaError(f"this needs {module}, which there is not for Python {before}: use an older Python")
        raise VecaError(f"this needs {module}, which is not installed: pip install 'veca-edge[{extra}]'")
