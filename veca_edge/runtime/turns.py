"""Threads that take turns with native code, also where a process forks or ends."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import time
from weakref import WeakValueDictionary

from veca_edge.errors import VecaError

LAST = 10.0  # seconds that the end of Python waits for a call
PARK = 1.0  # seconds, more than Python has left then


class Turns:
    """A lock that its thread may take again.

    A forked process starts with it free: a thread of the parent that held it would hold it there for ever. When
    Python ends, calls that are being made are waited for and threads begin no others: one that Python stops in the
    midst of C++ ends the process with an abort.
    """

    def __init__(self) -> None:
        self._lock, self._process = threading.RLock(), os.getpid()
        _ALL[next(_NUMBERS)] = self

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._lock, self._process = threading.RLock(), os.getpid()
        self._lock.acquire()
        if _ENDING.is_set() and not _MINE.held and threading.current_thread() is not threading.main_thread():
            self._lock.release()
            time.sleep(PARK)
            raise VecaError("Python is ending: nothing is computed any more")
        _MINE.held += 1

    def __exit__(self, *_: object) -> None:
        _MINE.held -= 1
        self._lock.release()

    def wait(self) -> None:
        """Wait for the thread whose turn it is, but not for ever."""
        if self._lock.acquire(timeout=LAST):
            self._lock.release()


class _Mine(threading.local):
    """How many turns a thread has."""

    held = 0


_MINE, _ENDING, _NUMBERS = _Mine(), threading.Event(), itertools.count()
_ALL: WeakValueDictionary[int, Turns] = WeakValueDictionary()


@atexit.register
def _end() -> None:
    _ENDING.set()
    for reference in _ALL.valuerefs():  # a list, unlike what else it gives: threads may add to it
        turns = reference()
        if turns is not None:
            turns.wait()
