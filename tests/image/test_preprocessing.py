from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import picture
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import FITS, Preprocessing


@pytest.mark.parametrize(
    ("fit", "shape", "crop"),
    [
        ("crop", (64, 64), (140, 0, 360, 360)),
        ("pad", (64, 64), (0, -140, 640, 640)),
        ("stretch", (64, 64), (0, 0, 640, 360)),
        ("keep", (64, 112), (0, 0, 640, 360)),
    ],
)
def test_shape_and_origin(fit: str, shape: tuple[Any, ...], crop: tuple[Any, ...]) -> None:
    fitted = Preprocessing(64, fit).resize(picture(7, 360, 640), 16)
    assert fitted.image.shape == (*shape, 3)
    assert fitted.crop == crop
    assert fitted.image.flags.c_contiguous
    assert fitted.image[32, 32].tolist() == [7, 7, 7]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FITS), st.integers(1, 300), st.integers(1, 300), st.sampled_from([8, 14, 16]))
def test_any_size_fits(fit: str, height: int, width: int, patch: int) -> None:
    image = picture(9, height, width)
    preprocessing = Preprocessing(4 * patch, fit)
    if fit == "keep" and max(height, width) > 8 * min(height, width):
        with pytest.raises(VecaError, match="too long"):
            preprocessing.resize(image, patch)
        return
    fitted, (x, y, w, h) = preprocessing.resize(image, patch)
    assert fitted.dtype == np.uint8
    assert min(fitted.shape[:2]) == 4 * patch
    assert fitted.shape[0] % patch == fitted.shape[1] % patch == 0
    if fit == "pad":
        assert w == h == max(height, width)
        assert x <= 0
        assert y <= 0
    else:
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


def test_crop_looks_at_the_centre() -> None:
    image = picture(0, 100, 300)
    image[:, 100:200] = 200
    assert (Preprocessing(64).resize(image, 16).image == 200).all()


def test_pad_uses_the_mean_colour() -> None:
    fitted = Preprocessing(64, "pad").resize(picture(255, 32, 64), 16)
    assert fitted.image[0, 0].tolist() == [124, 116, 104]
    assert fitted.image[32, 32].tolist() == [255, 255, 255]


def test_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(Preprocessing(64).resize(image, 16).image, image)


def test_shrinking_averages() -> None:
    image = picture(0, 128, 128)
    image[:, ::2] = 200
    assert (Preprocessing(64).resize(image, 16).image == 100).all()


def test_enlarging_does_not_overshoot() -> None:
    image = picture(50, 8, 8)
    image[:, 4:] = 150
    enlarged = Preprocessing(64).resize(image, 16).image
    assert enlarged.min() == 50
    assert enlarged.max() == 150


def test_size_for_one_call() -> None:
    assert Preprocessing(64).resize(picture(), 16, image_size=96).image.shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[1]], "numpy array"),
        (np.zeros((4, 4, 3), np.float32), r"uint8.*\(image \* 255\)\.astype\(\"uint8\"\)"),
        (np.full((4, 4, 3), np.nan), "uint8"),
        (np.zeros((4, 4), np.uint8), r"\(height, width, 3\).*numpy\.stack"),
        (np.zeros((4, 4, 4), np.uint8), r"\(height, width, 3\).*image\[\.\.\., :3\]"),
        (np.zeros((3, 4, 9), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"image\[0\]"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ],
)
def test_bad_images(image: Any, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        Preprocessing().resize(image, 16)


@pytest.mark.parametrize("size", [0, -16, 100, 8192, 64.0, True, "64"])
def test_bad_sizes(size: Any) -> None:
    with pytest.raises(VecaError, match="image size"):
        Preprocessing().resize(picture(), 16, image_size=size)


def test_dictionary_round_trip() -> None:
    preprocessing = Preprocessing(384, "keep", (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    assert Preprocessing.from_dict({}) == Preprocessing()


@pytest.mark.parametrize(
    "values",
    [
        {"size": 3},
        {"fit": "zoom"},
        {"image_size": "big"},
        {"mean": [0.5, 0.5]},
        {"mean": [0.5, 0.5, 2]},
        {"mean": [0.5, 0.5, float("nan")]},
        {"mean": "abc"},
        {"std": [0.1, 0.1, 0]},
        {"std": [0.1, 0.1, True]},
        ["fit"],
    ],
)
def test_bad_dictionaries(values: Any) -> None:
    with pytest.raises(VecaError):
        Preprocessing.from_dict(values)
