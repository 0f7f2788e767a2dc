"""Sizes from the headers of image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fakes import write_image
from tests.image.made import animation, four_colours, tiff, turned
from veca_edge.image.headers import (
    grey_key,
    image_size,
    is_animated,
    is_jpeg_film,
    is_torn,
    orientation,
    still_format,
)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif", ".avif", ".jp2", ".ppm"])
def test_header_sizes(tmp_path: Path, suffix: str) -> None:
    data = write_image(tmp_path / f"a{suffix}", size=(33, 57)).read_bytes()
    assert image_size(data) == (57, 33)
    assert image_size(data[:5]) is None


def test_header_sizes_of_webp_kinds(tmp_path: Path) -> None:
    path = str(tmp_path / "a.webp")
    noise = np.random.default_rng(0).integers(0, 256, (33, 57, 4), np.uint8)
    for image, quality in ((noise, 101), (noise[..., :3], 101), (noise[..., :3], 60), (noise, 60)):
        cv2.imwrite(path, image, [cv2.IMWRITE_WEBP_QUALITY, quality])
        assert image_size((tmp_path / "a.webp").read_bytes()) == (57, 33)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\0" * 3, b"II*\0\xff\xff\xff\xff", b"GIF89a", b"P6 x"]
)
def test_headers_that_say_nothing(data: bytes) -> None:
    assert image_size(data) is None


FRAME = b"\xff\xc0\0\x11\x08\x75\x30\x75\x31"  # 30001x30000


@pytest.mark.parametrize(
    "before",
    [
        b"\xff\xd0",
        b"\xff\x01\xff\xd7",
        b"\xff\xe1\0\x04ab",
        b"\xff\xff\xff",
        b"between",
        b"\xff\0",
        b"\xff\xe0\0\0",
    ],
)
def test_jpeg_markers_before_the_frame(before: bytes) -> None:
    assert image_size(b"\xff\xd8\xff\xe0\0\x04ab" + before + FRAME) == (30001, 30000)
    assert image_size(b"\xff\xd8" + (before if before[0] == 0xFF else b"") + FRAME) == (30001, 30000)


def test_first_of_equal_tiff_tags_counts() -> None:
    assert image_size(tiff(four_colours(), (256, 1), (257, 1))) == (48, 32)


def test_bitmap_of_os2() -> None:
    assert image_size(b"BM" + bytes(12) + b"\x0c\0\0\0\x60\0\x50\0\1\0\1\0") == (96, 80)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif", ".avif"])
def test_a_file_may_end_anywhere(tmp_path: Path, suffix: str) -> None:
    if suffix in (".gif", ".avif"):
        data = animation(tmp_path / f"a{suffix}").read_bytes()
    else:
        data = turned(suffix, four_colours(8, 8), 6)
    for end in range(min(len(data), 400)):
        for ask in (image_size, orientation, still_format, grey_key, is_animated, is_torn, is_jpeg_film):
            ask(data[:end])
