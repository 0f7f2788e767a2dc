"""Resizing with and without OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from veca_edge.arrays import Image
from veca_edge.image import scaling


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where OpenCV is not installed."""
    monkeypatch.setattr(scaling, "opencv", lambda: None)


def _both(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> tuple[Image, Image]:
    resize = getattr(scaling, name)
    first = resize(*arguments)
    monkeypatch.setattr(scaling, "opencv", lambda: None)
    return first.astype(int), resize(*arguments).astype(int)


@pytest.mark.parametrize(("tall", "wide"), [(1, 2), (2, 1), (2, 2), (3, 5), (20, 20)])
def test_blocks_are_averaged_alike(monkeypatch: pytest.MonkeyPatch, photo: Image, tall: int, wide: int) -> None:
    image = photo[: 140 // tall * tall, : 140 // wide * wide]
    opencv, plain = _both(monkeypatch, "averaged", image, tall, wide)
    assert abs(opencv - plain).max() <= 1
    exact = image.reshape(len(image) // tall, tall, -1, wide, 3).mean(axis=(1, 3))
    assert abs(plain - exact).max() <= 0.5


@pytest.mark.parametrize(("tall", "wide"), [(3, 3), (3, 5), (5, 3), (5, 5)])
def test_the_sliding_mean_is_that_of_blocks(tall: int, wide: int) -> None:
    image = np.random.default_rng(tall).integers(0, 256, (tall * 211, wide * 367, 3), dtype=np.uint8)
    exact = image.reshape(211, tall, 367, wide, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(scaling.averaged(image, tall, wide), np.rint(exact))
    part = image[tall:, wide:-wide]  # its rows are not one after another in memory
    np.testing.assert_array_equal(scaling.averaged(part, tall, wide), np.rint(exact[1:, 1:-1]))


@pytest.mark.parametrize(("width", "height"), [(144, 97), (90, 144), (100, 200), (511, 300), (1, 1)])
def test_interpolation_is_alike(monkeypatch: pytest.MonkeyPatch, photo: Image, width: int, height: int) -> None:
    opencv, plain = _both(monkeypatch, "interpolated", photo, width, height)
    assert plain.shape == (height, width, 3)
    assert abs(opencv - plain).max() <= 1


@pytest.mark.usefixtures("plain")
def test_a_slope_stays_a_slope() -> None:
    slope = np.broadcast_to(np.arange(0, 200, 10, dtype=np.uint8)[:, None, None], (20, 3, 3))
    longer = scaling.interpolated(np.ascontiguousarray(slope), 3, 40)[:, 0, 0].astype(int)
    assert np.diff(longer).min() >= 0
    assert np.diff(longer).max() <= 6
    assert (longer[0], longer[-1]) == (0, 190)


def test_opencv_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(scaling, "is_installed", asked.append)
    scaling.opencv.cache_clear()
    try:
        assert scaling.opencv() is None
        assert scaling.opencv() is None
    finally:
        scaling.opencv.cache_clear()
    assert asked == ["cv2"]
