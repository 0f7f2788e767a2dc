"""Which number of threads is best, of tables that say it."""

from __future__ import annotations

import pytest

from veca_edge.governor.quality import LatencyRow, LatencyTable
from veca_edge.runtime.thread_comparison import ThreadRow, fastest, thread_counts, thread_rows, thriftiest


@pytest.mark.parametrize(
    ("most", "counts"), [(1, (1,)), (2, (1, 2)), (3, (1, 3)), (4, (1, 2, 4)), (9, (1, 4, 9)), (64, (1, 32, 64))]
)
def test_one_half_and_all(most: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(most) == counts


def _table(*rows: tuple[int, int, float, float | None]) -> LatencyTable:
    return LatencyTable(
        tuple(LatencyRow(cores, size, None, time, time, time, 64, time, 0.0, j) for cores, size, time, j in rows)
    )


def test_rows_are_means_over_the_configurations_of_a_size() -> None:
    one = _table((8, 128, 0.001, 0.01), (64, 128, 0.003, 0.03), (8, 256, 0.009, 0.1))
    two = _table((8, 128, 0.001, 0.02), (64, 128, 0.002, None), (8, 256, 0.005, 0.1))
    assert [(row.image_size, row.threads) for row in thread_rows({2: two, 1: one})] == [
        (256, 1),
        (256, 2),
        (128, 1),
        (128, 2),
    ]
    small = thread_rows({2: two, 1: one})[2:]
    assert [row.seconds for row in small] == pytest.approx([0.002, 0.0015])
    assert small[0].joules == pytest.approx(0.02)
    assert small[1].joules is None  # not of all of them


@pytest.mark.parametrize(
    ("rows", "quick", "thrifty"),
    [
        ([(1, 0.010, None), (2, 0.006, None)], 2, None),
        ([(1, 0.010, 0.05), (2, 0.006, 0.06)], 2, 1),
        ([(1, 0.010, 0.07), (2, 0.006, 0.06), (4, 0.0059, 0.09)], 2, 2),  # what 4 threads save is noise
        ([(1, 0.010, 0.05), (2, 0.0101, 0.0495)], 1, 1),
        ([(1, 0.010, None), (2, 0.006, 0.06)], 2, 2),
    ],
)
def test_the_fewest_threads_of_those_that_are_best(
    rows: list[tuple[int, float, float | None]], quick: int, thrifty: int | None
) -> None:
    given = [ThreadRow(128, *row) for row in rows]
    assert (fastest(given), thriftiest(given)) == (quick, thrifty)
