"""Flaws of training views: blur, noise and holes. Drawn for a whole batch, made on the device; none by default."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.arrays import Float
from veca_edge.training.settings import AugmentSettings

FIELD = 256  # side of a field of noise, from which each view has a part; pixels
HOLE = (0.02, 0.25)  # least and largest area of a hole, as shares of the view
LONG = 3.0  # the most elongated hole


@dataclass(frozen=True, eq=False)
class Flaws:
    """Parameters of the flaws of B views.

    Attributes:
        blurs: (B,), deviation of a Gaussian blur, pixels of the view.
        grains: (B,), deviation of Gaussian noise, of a range of 0..1.
        shifts: int64 (B, 2), rows and columns by which the field of noise is shifted.
        holes: (B, 4), a rectangle that is erased: left, top, right, bottom in 0..1; empty for none.
        fills: (B, 3), the colour in its place, 0..1.
    """

    blurs: Float
    grains: Float
    shifts: NDArray[np.int64]
    holes: Float
    fills: Float

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Flaws:
        """Those of some views."""
        return Flaws(*(getattr(self, field.name)[index] for field in fields(self)))

    def inside(self, side: int, device: torch.device) -> Tensor:
        """The middles of side x side cells that a hole covers: bool (B, side, side)."""
        holes = torch.from_numpy(self.holes).to(device)[..., None]
        middles = (torch.arange(side, device=device) + 0.5) / side
        across, down = ((holes[:, i] <= middles) & (middles < holes[:, i + 2]) for i in range(2))
        return down[:, :, None] & across[:, None, :]


def draw_flaws(count: int, settings: AugmentSettings, generator: np.random.Generator) -> Flaws:
    """Draw the flaws of `count` views. Of a kind that is off nothing is drawn: the other draws stay as they are."""
    blurs, grains = np.zeros(count, np.float32), np.zeros(count, np.float32)
    shifts, holes = np.zeros((count, 2), np.int64), np.zeros((count, 4), np.float32)
    fills = np.zeros((count, 3), np.float32)
    if settings.blur:
        blurs = generator.uniform(0, settings.blur, count).astype(np.float32)
    if settings.noise:
        grains = generator.uniform(0, settings.noise, count).astype(np.float32)
        shifts = generator.integers(FIELD, size=(count, 2))
    if settings.erase:
        erased, fills = generator.random(count) < settings.erase, generator.random((count, 3)).astype(np.float32)
        holes = np.where(erased[:, None], _draw_holes(count, generator), 0).astype(np.float32)
    return Flaws(blurs, grains, shifts, holes, fills)


def flawed(images: Tensor, flaws: Flaws) -> Tensor:
    """Images (B, 3, H, H) in 0..1 with their flaws, again in 0..1."""
    side, device = images.shape[-1], images.device
    if flaws.blurs.any():
        rows = _smoothing(torch.from_numpy(flaws.blurs).to(device), side)[:, None]
        with torch.autocast(device.type, enabled=False):
            images = rows @ images @ rows.transpose(-1, -2)
    if flaws.grains.any():
        grains = torch.from_numpy(flaws.grains).to(device)[:, None, None, None]
        images = (images + grains * _noise(torch.from_numpy(flaws.shifts), side).to(device)).clamp(0, 1)
    if flaws.holes.any():
        fills = torch.from_numpy(flaws.fills).to(device)[:, :, None, None]
        images = torch.where(flaws.inside(side, device)[:, None], fills, images)
    return images


def _draw_holes(count: int, generator: np.random.Generator) -> Float:
    area = generator.uniform(*HOLE, count)
    aspect = np.exp(generator.uniform(-math.log(LONG), math.log(LONG), count))
    sides = np.sqrt(np.stack([area * aspect, area / aspect], 1))
    start = generator.random((count, 2)) * (1 - sides)
    return np.concatenate([start, start + sides], 1).astype(np.float32)


def _smoothing(blurs: Tensor, side: int) -> Tensor:
    """(B, side, side): each pixel's weights of the pixels along a line; their sum is 1 at the edges too."""
    places = torch.arange(side, device=blurs.device)
    far = (places - places[:, None]) / blurs.clamp(min=1e-3)[:, None, None]
    weights = (-far.square() / 2).exp()
    return weights / weights.sum(-1, keepdim=True)


def _noise(shifts: Tensor, side: int) -> Tensor:
    """(B, 3, side, side): normal numbers, from one field that is shifted for each view and goes round."""
    rows, columns = ((torch.arange(side) + shifts[:, axis, None]) % FIELD for axis in range(2))
    return _field()[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)


@cache
def _field() -> Tensor:
    return torch.randn(3, FIELD, FIELD, generator=torch.Generator().manual_seed(0))
