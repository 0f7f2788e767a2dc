"""Two-dimensional rotary positions of the published model: cell centres, periods, angles, rotation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from veca_edge.model.config import VecaConfig


def patch_positions(rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """Centres of a grid's cells in (x, y) order, row by row.

    Returns:
        float32 (rows * columns, 2), each value strictly inside -1..1.
    """
    x = (torch.arange(columns, device=device, dtype=torch.float32) + 0.5) / columns * 2 - 1
    y = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) / rows * 2 - 1
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((grid_x, grid_y), dim=-1).reshape(-1, 2)


def augment_positions(positions: Tensor, config: VecaConfig) -> Tensor:
    """Training only: shift per axis, scale per axis, and scale both axes, once for the whole batch.

    Args:
        positions: (N, 2).

    Returns:
        (N, 2); the draws come from torch's default generator.
    """
    if config.rope_shift is not None:
        shift = torch.empty(2, device=positions.device).uniform_(-config.rope_shift, config.rope_shift)
        positions = positions + shift
    for factor, size in ((config.rope_jitter, 2), (config.rope_rescale, 1)):
        if factor is not None:
            bound = math.log(factor)
            positions = positions * torch.empty(size, device=positions.device).uniform_(-bound, bound).exp()
    return positions


def rope_periods(config: VecaConfig, device: torch.device | None = None) -> Tensor:
    """Rotary periods of one axis: float32 (head_dim / 4,), infinite where a frequency is switched off."""
    count = config.head_dim // 4
    exponents = 2 * torch.arange(count, device=device, dtype=torch.float32) / (config.head_dim // 2)
    periods = config.rope_base**exponents
    zeros = round(config.rope_zero_fraction * count)
    # Long periods are low frequencies, and they come last.
    off = slice(count - zeros, count) if config.rope_zero_from == "low" else slice(0, zeros)
    periods[off] = math.inf
    return periods


def rope_angles(positions: Tensor, periods: Tensor) -> Tensor:
    """Rotation angle of every channel pair.

    Args:
        positions: (..., 2) as (x, y).
        periods: (head_dim / 4,).

    Returns:
        (..., head_dim / 2) radians: the x half, then the y half.
    """
    return (2 * math.pi * positions[..., :, None] / periods).flatten(-2)


def rotate_pairs(v: Tensor, angles: Tensor) -> Tensor:
    """Rotate the channel pairs (2j, 2j + 1) of every head.

    Args:
        v: (B, heads, S, head_dim).
        angles: (B or 1, S, head_dim / 2).

    Returns:
        The shape and dtype of `v`.
    """
    cos = angles.cos()[:, None].to(v.dtype)
    sin = angles.sin()[:, None].to(v.dtype)
    even, odd = v[..., 0::2], v[..., 1::2]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def pair_frequencies(config: VecaConfig) -> Tensor:
    """Radians per unit of x and of y for every channel pair of a head: float64 (hd / 2, 2), x's pairs first."""
    frequency = 2 * math.pi / rope_periods(config).double()
    nothing = torch.zeros_like(frequency)
    return torch.cat([torch.stack([frequency, nothing], 1), torch.stack([nothing, frequency], 1)])
