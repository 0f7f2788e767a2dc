from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.training_sets import store
from veca_edge.training.settings import AugmentSettings
from veca_edge.training.views import Views, crop, draw_views, mixed_labels, render, whole_views

CPU, WHOLE = torch.device("cpu"), slice(None)
PLAIN = AugmentSettings(brightness=0, contrast=0, saturation=0)


def draws(settings: AugmentSettings, count: int = 12) -> Views:
    return draw_views(count, settings, np.random.default_rng(0))


def rendered(views: Views, size: int = 32) -> Tensor:
    return render(store(12), torch.arange(12), views, WHOLE, size, CPU)[0]


def test_a_whole_photo_at_its_own_size_is_the_photo() -> None:
    pixels = store(4).pixels
    torch.testing.assert_close(crop(pixels, whole_views(4), 40), pixels / 255, atol=1e-6, rtol=0)


def test_crops_are_cut_where_they_say_and_mirrored() -> None:
    pixels = store(1).pixels
    expected = pixels[..., 16:32, 8:24] / 255
    for box, cut in (((0.2, 0.4, 0.6, 0.8), expected), ((0.6, 0.4, 0.2, 0.8), expected.flip(3))):
        torch.testing.assert_close(crop(pixels, np.array([box], np.float32), 16), cut)


def test_shrinking_averages() -> None:
    checks = (torch.arange(40)[:, None] + torch.arange(40)) % 2 * 200
    small = crop(checks.to(torch.uint8).expand(1, 3, 40, 40), whole_views(1), 10)
    torch.testing.assert_close(small, torch.full_like(small, 100 / 255), atol=0.02, rtol=0)


def test_crops_keep_to_their_settings() -> None:
    settings = AugmentSettings(crop_area=0.3, crop_aspect=1.5)
    left, top, right, bottom = draws(settings, 2000).boxes.T
    width, height = np.abs(right - left), bottom - top
    assert np.minimum(left, right).min() >= 0
    assert np.maximum(left, right).max() <= 1 + 1e-6
    assert top.min() >= 0
    assert bottom.max() <= 1 + 1e-6
    # A crop that would leave the photo is cut off there, so a few are smaller than asked for.
    assert (width * height >= 0.3 - 1e-6).mean() > 0.95
    assert (width / height).max() <= 1.5 + 1e-5
    assert 0.45 < (left > right).mean() < 0.55
    straight = draws(replace(settings, mirror=False), 100).boxes
    assert (straight[:, 0] < straight[:, 2]).all()


def test_beyond_a_photo_its_edge_goes_on() -> None:
    pixels = store(1).pixels
    wide = crop(pixels, np.array([[-0.5, -0.5, 1.5, 1.5]], np.float32), 80)
    torch.testing.assert_close(wide[..., 20:60, 20:60], pixels / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(wide[..., 20:60, :20], wide[..., 20:60, 20:21].expand(-1, -1, -1, 20))
    torch.testing.assert_close(wide[..., 60:, :], wide[..., 59:60, :].expand(-1, -1, 20, -1))


def test_turned_views_show_what_lies_around() -> None:
    pixels = store(1).pixels
    middle, angle = np.array([[0.3, 0.3, 0.7, 0.7]], np.float32), np.full(1, np.pi / 2, np.float32)
    straight, quarter = crop(pixels, middle, 16), crop(pixels, middle, 16, angle)
    torch.testing.assert_close(quarter, straight.rot90(1, (2, 3)), atol=1e-4, rtol=0)
    gradient = torch.arange(40).expand(1, 3, 40, 40).to(torch.uint8)
    eighth = crop(gradient, middle, 16, np.full(1, np.pi / 4, np.float32))[0, 0] * 255
    # The corners of the view lie on an axis through its middle: left and right of it by half a diagonal.
    assert float(eighth.min()) == pytest.approx(19.5 - 15 / 2**0.5, abs=0.2)
    assert float(eighth.max()) == pytest.approx(19.5 + 15 / 2**0.5, abs=0.2)


def test_what_is_off_leaves_the_other_draws_alone() -> None:
    off, on = draws(AugmentSettings()), draws(AugmentSettings(rotate=20, blur=2, noise=0.2, erase=0.5))
    for name in ("boxes", "colours", "partners", "shares", "cut", "centres", "picks"):
        assert np.array_equal(getattr(off, name), getattr(on, name)), name
    assert not off.angles.any()
    assert 0 < np.abs(on.angles).max() <= np.radians(20)


@pytest.mark.parametrize("kind", ["blur", "noise", "erase"])
def test_each_flaw(kind: str) -> None:
    strong = {"blur": 3.0, "noise": 0.1, "erase": 0.5}
    settings: dict[str, Any] = {kind: strong[kind]}
    views = draws(replace(PLAIN, **settings), 12)
    plain, found = rendered(draws(PLAIN)), rendered(views)
    assert 0 <= found.min() < found.max() <= 1
    change = (found - plain).abs()
    if kind == "blur":
        torch.testing.assert_close(found.mean((2, 3)), plain.mean((2, 3)), atol=0.03, rtol=0)
        sharp, soft = (images.diff(dim=-1).std((1, 2, 3)) for images in (plain, found))
        order = torch.from_numpy(views.flaws.blurs).argsort()
        assert (soft[order[6:]] < 0.5 * sharp[order[6:]]).all()
        assert (soft <= sharp).all()
    elif kind == "noise":
        spread = (found - plain)[:, 1].std((1, 2))
        torch.testing.assert_close(spread, torch.from_numpy(views.flaws.grains), atol=0.02, rtol=0.1)
        assert not torch.equal((found - plain)[0].sign(), (found - plain)[1].sign())
    else:
        holes = views.flaws.inside(32, CPU)
        assert not change[~holes[:, None].expand_as(change)].any()
        assert 0 < int(holes.any(-1).any(-1).sum()) < 12
        for hole, image in zip(holes, found, strict=True):
            assert not hole.any() or float(image[:, hole].std(1).max()) < 1e-6
            assert hole.float().mean() < 0.3


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("more", [{}, {"rotate": 30, "blur": 2, "noise": 0.1, "erase": 0.5}])
def test_parts_of_a_batch_are_those_of_the_whole(more: dict[str, Any], size: int) -> None:
    photos, chosen = store(12), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    views = draws(AugmentSettings(mixup=0.4, cutmix=0.4, **more))
    images, shares = render(photos, chosen, views, slice(0, 12), size, CPU)
    labels = mixed_labels(photos, chosen, views, slice(0, 12), shares, 3)
    assert images.shape == (12, 3, size, size)
    assert 0 <= images.min() < images.max() <= 1
    for part in (slice(0, 5), slice(5, 12)):
        some, some_shares = render(photos, chosen, views, part, size, CPU)
        torch.testing.assert_close(some, images[part], atol=1e-4 if more else 1e-6, rtol=0)
        torch.testing.assert_close(mixed_labels(photos, chosen, views, part, some_shares, 3), labels[part])


@pytest.mark.parametrize("settings", [replace(PLAIN, mixup=1.0), replace(PLAIN, cutmix=1.0)])
def test_mixed_views_are_partly_their_partners(settings: AugmentSettings) -> None:
    views = draws(settings)
    images, shares = render(store(12), torch.arange(12), views, WHOLE, 40, CPU)
    own = rendered(replace(views, shares=np.ones(12, np.float32)), 40)
    other, mixed = own[torch.from_numpy(views.partners)], views.partners != np.arange(12)
    weight = ((images - other) / torch.where((own - other).abs() > 1e-3, own - other, 1)).mean((1, 2, 3))
    assert ((weight - shares).abs()[mixed] < 0.1).all()
    assert 0 < shares.min() < shares.max() < 1
    if settings.cutmix:
        taken = (images - other).abs().amax(1) < 1e-6
        torch.testing.assert_close(taken.float().mean((1, 2))[mixed], (1 - shares)[mixed], atol=0.01, rtol=0)


def test_labels_of_mixed_views() -> None:
    photos = store(6)
    photos.targets[5] = -1
    views = replace(draws(PLAIN, 2), partners=np.array([1, 0]))
    labels = mixed_labels(photos, torch.tensor([0, 5]), views, WHOLE, torch.tensor([0.75, 0.25]), 3)
    assert labels.tolist() == [[0.75, 0, 0], [0.75, 0, 0]]


def test_colours_change_within_bounds() -> None:
    plain, bright = (rendered(draws(replace(PLAIN, brightness=change))) for change in (0, 0.5))
    ratio = bright.mean((1, 2, 3)) / plain.mean((1, 2, 3))
    assert 0.5 <= ratio.min() < 0.8 < 1.2 < ratio.max() <= 1.5
    grey = draws(PLAIN)
    grey.colours[:, 2] = 0
    faded = rendered(grey)
    torch.testing.assert_close(faded[:, 0], faded[:, 2], atol=1e-6, rtol=0)
