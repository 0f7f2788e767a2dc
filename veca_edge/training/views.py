"""Training views of photos, made in batches on the device that trains.

A crop with its resize is two matrix products per photo, rows and columns, with a triangle filter that widens when
the crop is shrunk, so that nothing aliases. All draws are made with numpy for the whole batch of all processes;
each process then computes its part, and gets the same views as if it were the only one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from veca_edge.arrays import Float
from veca_edge.image.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from veca_edge.photos.store import PhotoStore
from veca_edge.training.flaws import Flaws, draw_flaws, flawed
from veca_edge.training.settings import AugmentSettings

GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True, eq=False)
class Views:
    """Parameters of the views of a batch of B photos.

    Attributes:
        boxes: (B, 4), the crops: left, top, right, bottom in 0..1; left > right where mirrored.
        angles: (B,), by which the crops are turned about their middles, radians.
        colours: (B, 3), factors of brightness, contrast and saturation.
        partners: (B,), int64, index of the photo of the batch that is mixed in.
        shares: (B,), share of the view's own photo, 0..1; 1 where nothing is mixed in.
        cut: (B,), bool, whether the partner fills a rectangle instead of being blended.
        centres: (B, 2), x and y of that rectangle's centre in 0..1.
        picks: (B,), int64, index of the crop among those for which a teacher's answers are kept.
        flaws: what is wrong with the finished view, whatever is mixed in.
    """

    boxes: Float
    angles: Float
    colours: Float
    partners: NDArray[np.int64]
    shares: Float
    cut: NDArray[np.bool_]
    centres: Float
    picks: NDArray[np.int64]
    flaws: Flaws

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Views:
        """The views of some photos; their partners are still indices into the whole batch."""
        return Views(*(getattr(self, field.name)[index] for field in fields(self)))


def draw_views(count: int, settings: AugmentSettings, generator: np.random.Generator) -> Views:
    """Draw the views of a batch of `count` photos."""
    kind = generator.random(count)
    mixed, cut = kind < settings.mixup + settings.cutmix, (kind >= settings.mixup)
    blend = generator.beta(settings.mixup_alpha, settings.mixup_alpha, count)
    area = generator.random(count)  # CutMix: the rectangle's area is uniform
    return Views(
        boxes=_draw_boxes(count, settings, generator),
        colours=colour_factors(count, settings, generator),
        partners=generator.permutation(count),
        shares=np.where(mixed, np.where(cut, area, blend), 1).astype(np.float32),
        cut=cut,
        centres=generator.random((count, 2)).astype(np.float32),
        picks=np.zeros(count, np.int64),
        # Last, because without them nothing is drawn: the draws above stay what they are.
        angles=draw_angles(count, settings, generator),
        flaws=draw_flaws(count, settings, generator),
    )


def colour_factors(count: int, settings: AugmentSettings, generator: np.random.Generator) -> Float:
    """Draw factors of brightness, contrast and saturation: float32 (count, 3)."""
    bounds = 1 + np.array([settings.brightness, settings.contrast, settings.saturation])
    return generator.uniform(2 - bounds, bounds, (count, 3)).astype(np.float32)


def draw_angles(count: int, settings: AugmentSettings, generator: np.random.Generator) -> Float:
    """Draw angles in radians: float32 (count,). Nothing is drawn if views are not turned."""
    most = math.radians(settings.rotate)
    return (generator.uniform(-most, most, count) if most else np.zeros(count)).astype(np.float32)


def whole_views(count: int) -> Float:
    """Boxes (count, 4) of whole photos, not mirrored."""
    return np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1))


def _draw_boxes(count: int, settings: AugmentSettings, generator: np.random.Generator) -> Float:
    area = generator.uniform(settings.crop_area, 1, count)
    bound = math.log(settings.crop_aspect)
    aspect = np.exp(generator.uniform(-bound, bound, count))
    sides = np.minimum(np.sqrt(np.stack([area * aspect, area / aspect], 1)), 1)
    start = generator.random((count, 2)) * (1 - sides)
    boxes = np.concatenate([start, start + sides], 1)
    return np.asarray(half_mirrored(boxes, settings, generator), np.float32)


def half_mirrored(boxes: Float, settings: AugmentSettings, generator: np.random.Generator) -> Float:
    """The boxes (B, 4), each mirrored with a chance of 1/2 if the settings allow it; changed in place."""
    flipped = (generator.random(len(boxes)) < 0.5) & settings.mirror
    boxes[flipped] = boxes[flipped][:, [2, 1, 0, 3]]
    return boxes


def render(
    photos: PhotoStore, chosen: Tensor, views: Views, part: slice, size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The views of one part of a batch.

    Args:
        photos: all photos.
        chosen: int64 (B,), indices of the batch's photos, on the photos' device.
        views: of the whole batch.
        part: which of its views.
        size: pixels.
        device: where they are computed.

    Returns:
        float32 images (b, 3, size, size) in 0..1, and the share of each one's own photo, float32 (b,).
    """
    mine = views[part]
    images = _view(photos.pixels[chosen[part]].to(device), mine, size)
    shares, mixed = torch.ones(len(images), device=device), np.flatnonzero(mine.shares < 1)
    if len(mixed):
        rows, partners = torch.from_numpy(mixed).to(device), mine.partners[mixed]
        pixels = photos.pixels[chosen[torch.from_numpy(partners).to(chosen.device)]].to(device)
        weight = own_shares(mine[mixed], size, device)
        images[rows] = weight * images[rows] + (1 - weight) * _view(pixels, views[partners], size)
        shares[rows] = weight.mean((1, 2, 3))
    return flawed(images, mine.flaws), shares


def mixed_labels(
    photos: PhotoStore, chosen: Tensor, views: Views, part: slice, shares: Tensor, classes: int
) -> Tensor:
    """The labels of the views that `render` made: (b, K); rows sum to 1, or to less where a label is unknown."""
    # The target -1 selects the last row: no label.
    table = torch.cat((torch.eye(classes), torch.zeros(1, classes))).to(shares.device)
    partners = torch.from_numpy(views[part].partners).to(chosen.device)
    own, other = (table[photos.targets[rows].to(shares.device)] for rows in (chosen[part], chosen[partners]))
    return shares[:, None] * own + (1 - shares[:, None]) * other


def crop(photos: Tensor, boxes: Float, size: int, angles: Float | None = None) -> Tensor:
    """Crops of photos, resized.

    Args:
        photos: uint8 (b, 3, S, S).
        boxes: (b, 4): left, top, right, bottom in 0..1 of the photo; beyond it its edge goes on.
        size: pixels.
        angles: (b,), by which the crops are turned about their middles, radians; None for not at all.

    Returns:
        float32 (b, 3, size, size) in 0..1.
    """
    if angles is not None and angles.any():
        return _turned(photos, boxes, size, angles)
    edges = torch.from_numpy(boxes).to(photos.device)
    columns = _filters(edges[:, 0], edges[:, 2], size, photos.shape[3])
    rows = _filters(edges[:, 1], edges[:, 3], size, photos.shape[2])
    with torch.autocast(photos.device.type, enabled=False):
        pixels = photos.float() / 255
        return rows[:, None] @ pixels @ columns[:, None].transpose(-1, -2)


def _turned(photos: Tensor, boxes: Float, size: int, angles: Float) -> Tensor:
    """Crops that are turned, out of larger ones at the same scale."""
    reach = float((np.abs(np.cos(angles)) + np.abs(np.sin(angles))).max())
    wide = size + 2 * math.ceil(size * (reach - 1) / 2)  # an even number more: pixels of both lie on each other
    middles, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * (wide / size)
    around = crop(photos, np.concatenate([middles - halves, middles + halves], 1).astype(np.float32), wide)
    grid = turned_grid(angles, size).to(photos.device) * (size / wide)
    return F.grid_sample(around, grid, padding_mode="border", align_corners=False)


def turned_grid(angles: Float, side: int) -> Tensor:
    """Where the middles of a view's cells lie in it before it is turned: x and y in -1..1, (b, side, side, 2)."""
    cos, sin = np.cos(angles), np.sin(angles)
    nothing = np.zeros_like(cos)
    turns = np.stack([np.stack([cos, -sin, nothing], 1), np.stack([sin, cos, nothing], 1)], 1)
    return F.affine_grid(torch.from_numpy(turns), [len(angles), 1, side, side], align_corners=False)


def normalise(images: Tensor) -> Tensor:
    """Images (b, 3, H, W) in 0..1, normalised with ImageNet's mean and deviation."""
    mean, std = (
        torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (images - mean) / std


def resized(images: Tensor, side: int) -> Tensor:
    """Images (b, 3, H, H) resized to `side` pixels; 0 leaves them as they are."""
    if side in (0, images.shape[-1]):
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False)


def _filters(low: Tensor, high: Tensor, size: int, pixels: int) -> Tensor:
    """(b, size, pixels): each output pixel's weights of the input pixels between two edges in 0..1."""
    steps = (torch.arange(size, device=low.device) + 0.5) / size
    centres = ((low[:, None] + (high - low)[:, None] * steps) * pixels).clamp(0.5, pixels - 0.5)
    reach = ((high - low).abs() * pixels / size).clamp(min=1)[:, None, None]
    sources = torch.arange(pixels, device=low.device) + 0.5
    weights = (1 - (sources - centres[..., None]).abs() / reach).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)


def _view(photos: Tensor, views: Views, size: int) -> Tensor:
    return coloured(crop(photos, views.boxes, size, views.angles), torch.from_numpy(views.colours))


def coloured(images: Tensor, factors: Tensor) -> Tensor:
    """Images (b, 3, H, W) in 0..1 with other colours, by the factors (b, 3) of `colour_factors`."""
    factors = factors.to(images.device)
    brightness, contrast, saturation = (factors[:, i, None, None, None] for i in range(3))
    images = images * brightness
    grey = (images * torch.tensor(GREY, device=images.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    # Saturation blends with the grey of the pixel, contrast then with the mean grey of the image.
    images = grey + (images - grey) * saturation
    return (mean + (images - mean) * contrast).clamp(0, 1)


def own_shares(views: Views, size: int, device: torch.device) -> Tensor:
    """(b, 1, size, size): the share of a view's own photo in each of its pixels."""
    shares, centres = (torch.from_numpy(array).to(device) for array in (views.shares, views.centres))
    cut = torch.from_numpy(views.cut).to(device)[:, None, None, None]
    pixel = (torch.arange(size, device=device) + 0.5) / size
    half = (1 - shares).sqrt()[:, None] / 2
    inside = [(pixel - centres[:, axis, None]).abs() < half for axis in range(2)]
    rectangle = (inside[1][:, None, :, None] & inside[0][:, None, None, :]).float()
    return torch.where(cut, 1 - rectangle, shares[:, None, None, None])
