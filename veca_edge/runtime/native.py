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
    """Discard what is written to standard error: ExecuTorch logs how it looks for processor details.

    Descriptors are shared by all threads, so this is kept to imports and to opening a model, and threads that want
    it take turns: each puts back what it found.
    """
    with _TURNS, contextlib.ExitStack() as stack:
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
        nowhere = stack.enter_context(Path(os.devnull).open("wb"))
        for descriptor in _listeners():
            stack.enter_context(_redirected(descriptor, nowhere.fileno()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def _listeners() -> set[int]:
    """Where native code writes its complaints, and where Python does: two descriptors in the command line."""
    found = {2}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.add(sys.stderr.fileno())
    return found


@contextlib.contextmanager
def _redirected(descriptor: int, target: int) -> Iterator[None]:
    """Let a descriptor lead elsewhere for a while; one that is closed stays closed."""
    try:
        saved = os.dup(descriptor)
    except OSError:  # nobody listens
        yield
        return
    try:
        os.dup2(target, descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)


def release_freed_memory() -> None:
    """Give memory that was freed back to the system: loading a method frees as much again as it keeps.

    glibc keeps it otherwise; other C libraries have no such function, and nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
