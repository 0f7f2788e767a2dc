"""Photos decoded in worker threads; what cannot be read is skipped with a reason."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.opencv import quiet_opencv
from veca_edge.image.skipping import Say, Skipped
from veca_edge.image.stills import read_image
from veca_edge.runtime.threads import default_threads

AHEAD = 4  # photos per thread that are decoded before they are asked for


S = TypeVar("S")
T = TypeVar("T")


def readable(
    paths: Sequence[Path], prepare: Callable[[Image], T], say: Say, threads: int | None = None
) -> Generator[tuple[int, T]]:
    """Decode photos a few ahead of what is asked for; those that cannot be read are named and skipped.

    Args:
        paths: the files.
        prepare: what to do with each decoded photo, uint8 (H, W, 3) RGB, also in a worker thread; a photo for which
            it raises a VecaError is skipped.
        say: receives lines about what is skipped.
        threads: workers; None for the number of big cores.

    Yields:
        In the order of `paths`: a photo's index and what `prepare` returned.
    """
    return loaded(paths, lambda path: prepare(read_image(path)), say, threads)


def loaded(
    items: Sequence[S], load: Callable[[S], T], say: Say, threads: int | None = None
) -> Generator[tuple[int, T]]:
    """The same for anything that is read from files: an item's index and what `load` made of it."""
    with Skipped(say) as skipped:
        for index, result in enumerate(_decoded(items, load, threads or default_threads())):
            if isinstance(result, VecaError):
                skipped(result)
            else:
                yield index, result


def _decoded(items: Sequence[S], load: Callable[[S], T], threads: int) -> Iterator[T | VecaError]:
    """For every item what `load` returned, or why there is nothing."""

    def work(item: S) -> T | VecaError:
        try:
            return load(item)
        except VecaError as error:
            return error

    quiet_opencv()  # here, because two threads cannot import OpenCV for the first time at once
    rest = iter(items)
    with ThreadPoolExecutor(threads, "decode") as pool:
        waiting: deque[Future[T | VecaError]] = deque(
            pool.submit(work, item) for item in islice(rest, AHEAD * threads)
        )
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
        finally:
            for future in waiting:
                future.cancel()
