"""Sizes from the headers of image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fakes import write_image
from veca_edge.image.headers import image_size


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_header_sizes(tmp_path: Path, suffix: str) -> None:
    data = write_image(tmp_path / f"a{suffix}", size=(33, 57)).read_bytes()
    assert image_size(data) == (57, 33)
    assert image_size(data[:9]) is None


def test_header_sizes_of_webp_kinds(tmp_path: Path) -> None:
    path = str(tmp_path / "a.webp")
    noise = np.random.default_rng(0).integers(0, 256, (33, 57, 4), np.uint8)
    for image, quality in ((noise, 101), (noise[..., :3], 101), (noise[..., :3], 60), (noise, 60)):
        cv2.imwrite(path, image, [cv2.IMWRITE_WEBP_QUALITY, quality])
        assert image_size((tmp_path / "a.webp").read_bytes()) == (57, 33)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\0" * 3, b"II*\0\xff\xff\xff\xff", b"GIF89a"]
)
def test_headers_that_say_nothing(data: bytes) -> None:
    assert image_size(data) is None
