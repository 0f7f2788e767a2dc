"""ExecuTorch's worker threads: one pool per process, which every loaded program computes on.

A program keeps a pointer to the pool from the time its methods are loaded, and another number of threads means
another pool, so while a program is open the number stays: changing it would end the process at the next call.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from veca_edge.errors import VecaError
from veca_edge.runtime.threads import check_threads
from veca_edge.runtime.turns import Turns


class Pool:
    """Who uses the pool, and with how many threads.

    Attributes:
        turns: to be held while ExecuTorch loads, runs or frees something.
    """

    def __init__(self) -> None:
        self.turns = Turns()
        self._users: WeakSet[Any] = WeakSet()  # one that is collected without being closed counts no more
        self._threads = 0

    @contextmanager
    def joining(self, user: Any, threads: int | None, resize: Callable[[int], object]) -> Iterator[int]:
        """A context that loads a program; if it fails, the program does not count.

        Args:
            user: the program.
            threads: as asked for; None for those of the open programs, else one per big core.
            resize: sets ExecuTorch's number.

        Yields the number of threads.

        Raises:
            VecaError: open programs have another number of threads, or it is none that is possible.
        """
        with self.turns:
            count = self._threads if threads is None and self._users else check_threads(threads)
            if count != self._threads:
                self._check_free(count)
                resize(count)
                self._threads = count
            self._users.add(user)
            try:
                yield count
            except BaseException:
                self.leave(user)
                raise

    def leave(self, user: Any) -> None:
        """The program is freed."""
        with self.turns:
            self._users.discard(user)

    def _check_free(self, count: int) -> None:
        if self._users:
            gc.collect()  # for models that nobody can reach any more
        if self._users:
            raise VecaError(
                f"{count} threads: the models that are open compute with {self._threads}, and the threads are one "
                "setting of the whole process: close those models first, or leave the threads out"
            )


POOL = Pool()  # of the process, as ExecuTorch's own is
