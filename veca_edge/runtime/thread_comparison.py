"""Which number of threads is best on this device, at each image size.

The number is one setting of a process that cannot change while a model is open (`engines/pool.py`), so nothing here
sets it: it is what to load a model with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veca_edge.governor.quality import LatencyRow, LatencyTable

GAIN = 0.03  # of time or energy: what less than this saves is noise, and the fewer threads leave processors free


@dataclass(frozen=True)
class ThreadRow:
    """What frames of one image size cost with one number of threads, mean over the run configurations.

    Attributes:
        image_size: pixels.
        threads: that compute.
        seconds: per frame.
        joules: per frame; None where no counter tells.
    """

    image_size: int
    threads: int
    seconds: float
    joules: float | None


def thread_counts(most: int) -> tuple[int, ...]:
    """The numbers to compare, ascending: one, half of the most, and the most."""
    return tuple(sorted({1, max(1, most // 2), most}))


def thread_rows(tables: Mapping[int, LatencyTable]) -> list[ThreadRow]:
    """Rows by image size, the largest first, and threads.

    Args:
        tables: of the same run configurations, by the number of threads.
    """
    sizes = sorted({row.image_size for table in tables.values() for row in table.rows}, reverse=True)
    return [
        _row(size, threads, [row for row in tables[threads].rows if row.image_size == size])
        for size in sizes
        for threads in sorted(tables)
    ]


def _row(size: int, threads: int, rows: Sequence[LatencyRow]) -> ThreadRow:
    joules = [row.joules for row in rows if row.joules is not None]
    energy = sum(joules) / len(joules) if len(joules) == len(rows) else None
    return ThreadRow(size, threads, sum(row.mean for row in rows) / len(rows), energy)


def fastest(rows: Sequence[ThreadRow]) -> int:
    """The fewest threads, of rows of one size, that are within 3 % of the fastest."""
    least = min(row.seconds for row in rows)
    return min(row.threads for row in rows if row.seconds <= least * (1 + GAIN))


def thriftiest(rows: Sequence[ThreadRow]) -> int | None:
    """The fewest threads, of rows of one size, that are within 3 % of the least energy; None if it is unknown."""
    known = [(row.joules, row.threads) for row in rows if row.joules is not None]
    least = min((joules for joules, _ in known), default=0.0)
    return min((threads for joules, threads in known if joules <= least * (1 + GAIN)), default=None)
