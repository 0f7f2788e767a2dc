"""Batches of photos with masks: views, things that are pasted on other photos, and flaws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from veca_edge.modelfile.heads import DenseTask
from veca_edge.photos.masks import IGNORE
from veca_edge.training.dense import DenseData, detail
from veca_edge.training.masks import MaskStore, draw_squares, sample_targets
from veca_edge.training.settings import AugmentSettings, MaskSettings
from veca_edge.training.views import colour_factors, coloured, crop

Colour = tuple[int, int, int]
SIDE, SIZE, PATCH = 40, 64, 16
PLAIN = {"brightness": 0, "contrast": 0, "saturation": 0}
RED, BLUE, GREEN, GREY = (230, 20, 20), (20, 20, 230), (20, 200, 20), (128, 128, 128)
LABELS, COLOURS = ("background", "red", "blue"), (GREY, RED, BLUE)


def photo(ground: Colour, thing: Colour, number: int, at: slice) -> tuple[Tensor, Tensor]:
    """Pixels and mask of a square thing on a ground."""
    pixels = torch.tensor(ground, dtype=torch.uint8)[:, None, None].repeat(1, SIDE, SIDE)
    mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    pixels[:, at, at] = torch.tensor(thing, dtype=torch.uint8)[:, None, None]
    mask[at, at] = number
    return pixels, mask


def data(*photos: tuple[Tensor, Tensor]) -> DenseData:
    pixels, masks = (torch.stack(parts) for parts in zip(*photos, strict=True))
    sizes = np.tile(np.array([80, 60], np.float32), (len(photos), 1))
    store = MaskStore(pixels, masks, sizes, tuple(range(len(photos))), 3)
    return DenseData(DenseTask("things", "segmentation", 4, LABELS, COLOURS), store, store)


NOTHING, EVERYTHING = slice(0, 0), slice(0, SIDE)
EMPTY = photo(GREEN, GREEN, 0, NOTHING)
FULL = photo(RED, RED, 1, EVERYTHING)
MIXED = (photo(GREEN, RED, 1, slice(5, 20)), photo(GREY, BLUE, 2, slice(15, 38)), EMPTY)


def batch(found: DenseData, augment: dict[str, Any] | None = None, part: slice = slice(None), **masks: Any) -> Any:
    settings = MaskSettings(batch_size=48, size=SIZE, **masks)
    changed = AugmentSettings(**(PLAIN | (augment or {})))
    return found.batch(part, PATCH, settings, changed, np.random.default_rng(0))


def alike(images: Tensor, targets: Tensor) -> Tensor:
    """The share of cells of a class that have its colour, where it is known: red, blue."""
    small = torch.nn.functional.interpolate(images, targets.shape[-1:] * 2, mode="area")
    red, blue = small[:, 0] > small[:, 1:].amax(1) + 0.1, small[:, 2] > small[:, :2].amax(1) + 0.1
    known = targets != IGNORE
    return torch.stack([(shown == (targets == k))[known].float().mean() for k, shown in ((1, red), (2, blue))])


def test_without_pasting_a_batch_is_views_of_single_photos() -> None:
    found, augment = data(*MIXED), AugmentSettings(crop_area=0.5)
    generator, settings = np.random.default_rng(3), MaskSettings(batch_size=12, size=SIZE)
    images, targets = found.batch(slice(2, 9), PATCH, settings, augment, np.random.default_rng(3))
    rows = generator.integers(3, size=12)
    boxes = draw_squares(found.train.sizes[rows], 0.5, generator)
    colours = torch.from_numpy(colour_factors(12, augment, generator))
    wanted = coloured(crop(found.train.pixels[torch.from_numpy(rows)], boxes, SIZE), colours)
    torch.testing.assert_close(images, wanted[2:9])
    side = detail(found.task, SIZE // PATCH)
    assert torch.equal(targets, sample_targets(found.train, rows, boxes, side)[2:9])
    assert targets.dtype == torch.uint8


@pytest.mark.parametrize(
    ("augment", "masks"),
    [
        ({}, {}),
        ({}, {"paste": 1.0}),
        ({"rotate": 40}, {}),
        ({"rotate": 180, "noise": 0.02, "blur": 0.5}, {"paste": 0.5}),
        ({"erase": 1.0}, {}),
    ],
)
def test_targets_are_what_the_images_show(augment: dict[str, Any], masks: dict[str, Any]) -> None:
    images, targets = batch(data(*MIXED), augment, **masks)
    assert images.shape == (48, 3, SIZE, SIZE)
    assert 0 <= images.min() < images.max() <= 1
    assert (alike(images, targets) > 0.96).all()  # cells at the edges of things are of both
    assert {0, 1, 2} <= set(targets.unique().tolist()) <= {0, 1, 2, IGNORE}
    unknown = (targets == IGNORE).float().mean()
    assert (unknown > 0.01) == bool(augment.get("erase") or augment.get("rotate"))
    half, _ = batch(data(*MIXED), augment, slice(24, 48), **masks)
    torch.testing.assert_close(half, images[24:], atol=1e-4, rtol=0)


def test_things_appear_on_other_photos_and_nothing_from_beyond_theirs() -> None:
    images, targets = batch(data(EMPTY, FULL), paste=1.0, paste_scale=0.4)
    green = (images[:, 1] > images[:, 0] + 0.3).float().mean((1, 2))
    shares = (targets == 1).float().mean((1, 2))
    both = (green > 0.05) & (shares > 0)
    assert both.sum() > 6  # red things on a green photo
    # The whole photo is a thing: it is seen small, close, and cut off by every edge of the view.
    assert 0 < shares[both].min() < 0.3
    assert shares[both].max() > 0.6
    things = targets[both] == 1
    for edge in (things[:, 0], things[:, -1], things[:, :, 0], things[:, :, -1]):
        assert 0 < edge.any(-1).sum() < len(things)
    torch.testing.assert_close(green[both], 1 - shares[both], atol=0.08, rtol=0)


def test_only_a_share_of_views_gets_things() -> None:
    shares = [
        int((batch(data(EMPTY, EMPTY, FULL), paste=paste)[1] == 1).any(-1).any(-1).sum()) for paste in (0, 0.5, 1)
    ]
    assert shares[0] < shares[1] < shares[2] < 48
