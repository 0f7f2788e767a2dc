"""Measured values made monotone where theory says that more is never worse: isotonic regression on chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
SWEEPS = 1000  # at most; some dozens are usual
SETTLED = 1e-9


def monotone(values: Float, spreads: Float, families: Sequence[Sequence[Sequence[int]]]) -> Float:
    """The least-squares fit that never falls along any chain, at most `spreads` away from the values.

    Where the fit lies further away, what was measured contradicts theory by more than chance explains: the value
    then moves by its spread and no further.

    Args:
        values: (n,), measured.
        spreads: (n,), their standard errors.
        families: the chains in groups; a chain is indices from the least to the most, and no two chains of a group
            share an index.

    Source: Dykstra's alternating projections (Boyle and Dykstra 1986); each one is pooling of adjacent violators.
    """
    fit = values.astype(np.float64)
    corrections = [np.zeros_like(fit) for _ in families]
    for _ in range(SWEEPS):
        before = fit.copy()
        for correction, chains in zip(corrections, families, strict=True):
            wanted = fit + correction
            fit = wanted.copy()
            for chain in chains:
                fit[list(chain)] = ascending(wanted[list(chain)])
            correction[:] = wanted - fit
        if np.abs(fit - before).max(initial=0.0) < SETTLED:
            break
    return np.asarray(values + np.clip(fit - values, -spreads, spreads))


def ascending(values: Float) -> Float:
    """The nearest values (least squares) that never fall: neighbours that do are replaced by their mean."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = float(value), 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        pools.append((mean, count))
    return np.repeat([mean for mean, _ in pools], [count for _, count in pools])
