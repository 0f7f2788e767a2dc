"""Native libraries and the process around them: what they say, and what they leave behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from veca_edge.runtime.turns import Turns

_TURNS = Turns()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what native code writes to standard error: ExecuTorch logs how it looks for processor details.

    File descriptor 2 is shared by all threads, so this is kept to imports and to opening a model, and threads that
    want it take turns: each puts back what it found.
    """
    with _TURNS, _discarding():
        yield


@contextlib.contextmanager
def _discarding() -> Iterator[None]:
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError):  # nobody listens
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def release_freed_memory() -> None:
    """Give memory that was freed back to the system: loading a method frees as much again as it keeps.

    glibc keeps it otherwise; other C libraries have no such function, and nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
