"""Isotonic regression on chains, within the spread of what was measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from veca_edge.calibration.quality.monotone import ascending, monotone

FREE = 10.0  # a spread that holds nothing back


def test_neighbours_that_fall_share_their_mean() -> None:
    assert ascending(np.array([1.0, 3.0, 2.0, 2.5, 4.0])) == pytest.approx([1, 2.5, 2.5, 2.5, 4])
    assert ascending(np.array([3.0, 2.0, 1.0])) == pytest.approx([2, 2, 2])


def test_what_is_in_order_stays_exactly() -> None:
    values = np.array([0.1, 0.2, 0.2, 0.9])
    assert np.array_equal(monotone(values, np.full(4, FREE), [[[0, 1, 2, 3]]]), values)


def test_a_grid_becomes_monotone_along_both_axes() -> None:
    random = np.random.default_rng(3)
    values = random.random(24)
    grid = np.arange(24).reshape(4, 6)
    families = [grid.tolist(), grid.T.tolist()]
    fit = monotone(values, np.full(24, FREE), families)
    for chain in itertools.chain(*families):
        assert (np.diff(fit[chain]) >= -1e-6).all()
    # The nearest of all monotone grids: no better one among many near it.
    best = float(((fit - values) ** 2).sum())
    for _ in range(200):
        other = np.sort(np.sort(fit.reshape(4, 6) + 0.05 * random.standard_normal((4, 6)), axis=0), axis=1)
        assert ((other.ravel() - values) ** 2).sum() > best - 1e-6


def test_nothing_moves_further_than_its_spread() -> None:
    values = np.array([0.9, 0.5])
    assert monotone(values, np.array([0.05, 0.3]), [[[0, 1]]]) == pytest.approx([0.85, 0.7])
