"""Images as sources, one by one or a folder at a time."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.fakes import write_image
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError


def test_one_image(tmp_path: Path) -> None:
    with open_source(str(write_image(tmp_path / "a.png", 30))) as source:
        (frame,) = source
    assert frame.image.shape == (20, 30, 3)
    assert (frame.image == 30).all()
    assert (frame.name, frame.index, source.frames_total) == ("a.png", 0, 1)


def test_folder_in_order_skipping_what_is_unreadable(tmp_path: Path) -> None:
    write_image(tmp_path / "b.jpg", 20)
    write_image(tmp_path / "a.PNG", 10)
    (tmp_path / "aa.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "._b.jpg").write_bytes(b"mac")
    (tmp_path / "sub").mkdir()
    write_image(tmp_path / "sub" / "c.png")
    notices: list[Any] = []
    with open_source(str(tmp_path), notify=notices.append) as source:
        got = [(frame.name, frame.index, frame.time) for frame in source]
    assert got == [("a.PNG", 0, 0.0), ("b.jpg", 1, 0.5), ("sub/c.png", 2, 1.0)]
    assert len(notices) == 1
    assert "aa.jpg" in notices[0]


def test_folder_says_what_it_skips_and_how_many(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    for index in range(4):
        (tmp_path / f"b{index}.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        (tmp_path / f"c{index}.mov").write_bytes(b"")
    notices: list[Any] = []
    with open_source(tmp_path, loop=True, notify=notices.append) as source:
        assert [next(source).name for _ in range(3)] == ["a.png"] * 3
    assert notices[0] == f"skipped: {tmp_path / 'b0.heic'} is HEIC, which cannot be read: convert it to JPEG"
    assert notices[4] == f"skipped: {tmp_path / 'c0.mov'} is a film: name it as the source"
    assert notices[5:] == ["skipped: 3 more"]


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no images"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("loop", [False, True])
def test_folder_of_damaged_images(tmp_path: Path, loop: bool) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with open_source(str(tmp_path), loop=loop) as source, pytest.raises(VecaError, match="none of the 1"):
        next(source)


def test_damaged_image(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", size=(200, 200))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(VecaError, match=r"a\.png is damaged"):
        list(open_source(str(path)))


def test_float_tiff_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    assert cv2.imwrite(str(path), np.ones((20, 30, 3), np.float32))
    with pytest.raises(VecaError, match=r"a\.tiff is damaged or of a kind that is not supported \(8 or 16 bits"):
        list(open_source(str(path)))


def png_bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def test_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(60_000, 60_000))
    with pytest.raises(VecaError, match="60000x60000 pixels: use at most 100 megapixels"):
        list(open_source(str(path)))
