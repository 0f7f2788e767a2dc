"""Image files as they are seen: upright, on white, from wherever a format keeps its header."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.image.made import animation, encoded, four_colours, png, tiff, turned
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError
from veca_edge.image.stills import check_header, images_below, read_image

UPRIGHT: dict[int, Callable[[Any], Any]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: np.rot90(image, 2),
    4: lambda image: image[::-1],
    5: lambda image: np.rot90(image)[::-1],
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, -1)[::-1],
    8: lambda image: np.rot90(image),
}


@pytest.mark.parametrize("turn", [*range(1, 9), 0, 9])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".tif16"])
def test_images_are_turned_upright(tmp_path: Path, suffix: str, turn: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(turned(suffix, four_colours(), turn))
    wanted = UPRIGHT.get(turn, UPRIGHT[1])(four_colours())
    image = read_image(path)
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).mean() <= (8 if suffix == ".jpg" else 0)


@pytest.mark.parametrize(
    ("boxes", "turn"),
    [
        (b"", 1),
        (b"irot\1", 8),
        (b"irot\2", 3),
        (b"irot\3", 6),
        (b"imir\1", 2),
        (b"imir\0", 4),
        (b"irot\1\0\0\0\x09imir\0", 5),
        (b"irot\1\0\0\0\x09imir\1", 7),
    ],
)
def test_turned_avif(tmp_path: Path, boxes: bytes, turn: int) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(encoded(".avif", four_colours()) + (b"\0\0\0\x09" + boxes if boxes else b""))
    wanted = UPRIGHT[turn](four_colours())
    image = read_image(path)
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).mean() < 8


def hidden(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """RGBA: four colours above, and this one below where nothing is to be seen."""
    image = np.dstack((four_colours(), np.full((32, 48), 255, np.uint8)))
    image[16:, :, :3], image[16:, :, 3] = colour, 0
    image[15, :, 3] = 128
    return image


def _palette(image: NDArray[np.uint8]) -> bytes:
    index = (image[..., 3:] == 0).astype(np.uint8)
    return png(index, 3, (b"PLTE", bytes([9, 99, 199, *image[-1, -1, :3]])), (b"tRNS", b"\xff\0"))


def _grey_key(image: NDArray[np.uint8]) -> bytes:
    key = int(image[-1, -1, 0])
    grey = np.where(image[..., 3:] == 0, key, 77).astype(np.uint8)
    return png(grey, 0, (b"tRNS", struct.pack(">H", key)))


TRANSPARENT: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
    "png": lambda image: encoded(".png", image),
    "png of 16 bit": lambda image: encoded(".png", image.astype(np.uint16) * 257),
    "png of grey": lambda image: png(image[..., [0, 3]], 4),
    "png with a palette": _palette,
    "png with a key": _grey_key,
    "webp": lambda image: encoded(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101),
    "tiff": lambda image: tiff(image, (338, 2)),
    "tiff of 16 bit": lambda image: tiff(image.astype(np.uint16) * 257, (338, 2)),
    "jpeg 2000": lambda image: encoded(".jp2", image, cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_hidden_colours_are_not_seen(tmp_path: Path, kind: str) -> None:
    images = []
    for colour in ((200, 0, 90), (0, 0, 0), (255, 255, 0)):
        (tmp_path / "a").write_bytes(TRANSPARENT[kind](hidden(colour)))
        images.append(read_image(tmp_path / "a"))
    assert all((image[16:] == 255).all() for image in images)
    if kind != "png of grey":  # there the visible colours differ too
        np.testing.assert_array_equal(images[0], images[1])
        np.testing.assert_array_equal(images[0], images[2])
    assert not (images[0][:16] == 255).all()


def test_half_transparent_is_blended_with_white(tmp_path: Path) -> None:
    straight = np.zeros((4, 4, 4), np.uint8)
    straight[...] = (200, 100, 0, 128)
    multiplied = straight.copy()
    multiplied[..., :3] = (100, 50, 0)
    wanted = np.array([227, 177, 127])
    for data in (encoded(".png", straight), tiff(straight, (338, 2)), tiff(multiplied, (338, 1))):
        (tmp_path / "a").write_bytes(data)
        assert np.abs(read_image(tmp_path / "a") - wanted).max() <= 1


def test_bmp_of_four_bytes_is_opaque(tmp_path: Path) -> None:
    image = np.dstack((four_colours(), np.zeros((32, 48), np.uint8)))
    (tmp_path / "a.bmp").write_bytes(encoded(".bmp", image))
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), four_colours())


@pytest.mark.parametrize("suffix", [".gif", ".avif", ".jp2", ".ppm", ".bmp"])
def test_formats_that_opencv_reads(tmp_path: Path, suffix: str) -> None:
    image = four_colours()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix, image))
    check_header(path)
    found = read_image(path).astype(int)
    assert found.shape == image.shape
    assert np.abs(found - image).mean() < 12


RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def _avif(bits: int) -> bytes:
    levels = np.round(RAMP * (2**bits - 1)).astype(np.uint16)
    return encoded(".avif", np.dstack([levels] * 3), cv2.IMWRITE_AVIF_DEPTH, bits)


def _pnm(kind: bytes, most: int) -> bytes:
    levels = np.round(RAMP * most).astype(">u2" if most > 255 else np.uint8)
    text = " ".join(map(str, levels.ravel())).encode()
    return b"%s\n64 48\n%d\n" % (kind, most) + (text + b"\n" if kind == b"P2" else levels.tobytes())


def _jpeg2000(bits: int) -> bytes:
    """Of 16 bits, made into fewer: the numbers are kept as differences from the middle of the range."""
    levels = np.round(RAMP * (2**bits - 1)) + 2**15 - 2 ** (bits - 1)
    whole = encoded(".jp2", np.dstack([levels.astype(np.uint16)] * 3))
    data = bytearray(whole[whole.index(b"\xff\x4f\xff\x51") :])
    for component in range(3):
        data[42 + 3 * component] = bits - 1
    return bytes(data)


DEPTHS = {
    "avif 10": _avif(10),
    "avif 12": _avif(12),
    "jpeg 2000 12": _jpeg2000(12),
    "jpeg 2000 16": _jpeg2000(16),
    "pgm 100": _pnm(b"P5", 100),
    "pgm 255": _pnm(b"P5", 255),
    "pgm 1023": _pnm(b"P5", 1023),
    "pgm 65535": _pnm(b"P5", 65535),
    "text 15": _pnm(b"P2", 15),
    "text 1000": _pnm(b"P2", 1000),
    "tiff 16": tiff(np.round(RAMP * 65535).astype(np.uint16)[..., None]),
    "tiff 16, white is 0": tiff(np.round((1 - RAMP) * 65535).astype(np.uint16)[..., None]).replace(
        struct.pack("<HHIH", 262, 3, 1, 1), struct.pack("<HHIH", 262, 3, 1, 0)
    ),
}


@pytest.mark.parametrize("kind", DEPTHS)
def test_white_is_white_at_every_depth(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(DEPTHS[kind])
    off = np.abs(read_image(tmp_path / "a")[..., 1] - RAMP * 255)
    assert off.max() <= (9 if kind == "text 15" else 6)


def test_image_without_pixels(tmp_path: Path) -> None:
    data = bytearray(encoded(".png", four_colours()))
    data[16:20] = bytes(4)
    (tmp_path / "a.png").write_bytes(data)
    for read in (read_image, check_header):
        with pytest.raises(VecaError, match=r"a\.png is damaged: its header says 0x32 pixels"):
            read(tmp_path / "a.png")


def test_tiff_with_its_directory_behind_large_pixels(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    (tmp_path / "a.tif").write_bytes(tiff(image, at_end=True))
    check_header(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), image)
    assert images_below(tmp_path) == [tmp_path / "a.tif"]


REFUSED = {
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which cannot be read: convert it to JPEG"),
    "dng": (tiff(four_colours(), (50706, 1)), "a camera's raw file, which cannot be read: export it as JPEG"),
    "nef": (tiff(four_colours(), (254, 1)), "a camera's raw file"),
    "grey and transparent tiff": (tiff(four_colours()[..., :2], (338, 2)), "convert it to PNG"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_images_that_are_refused(tmp_path: Path, kind: str) -> None:
    data, message = REFUSED[kind]
    (tmp_path / "a.tif").write_bytes(data)
    for read in (read_image, check_header):
        with pytest.raises(VecaError, match=rf"a\.tif is .*{message}"):
            read(tmp_path / "a.tif")


@pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs")
def test_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for read in (read_image, check_header):
        with pytest.raises(VecaError, match="not a file"):
            read(tmp_path / "a.png")


LIMIT = """
import numpy as np
from veca_edge.image.opencv import quiet_opencv
quiet_opencv()
import cv2
data = b"P4 11000 10000\\n" + bytes(11000 * 10000 // 8)
try:
    print(cv2.imdecode(np.frombuffer(data, np.uint8), -1) is None)
except cv2.error:
    print(True)
"""


def test_opencv_has_the_limit_too() -> None:
    done = subprocess.run([sys.executable, "-c", LIMIT], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("kind", [b"IDAT", b"fcTL", b"IEND"])
def test_chunk_that_claims_gigabytes(tmp_path: Path, kind: bytes) -> None:
    data = animation(tmp_path / "a.png").read_bytes()
    place = data.index(kind) - 4
    (tmp_path / "a.png").write_bytes(data[:place] + b"\x6f\0\0\0" + data[place + 4 :])
    with pytest.raises(VecaError, match="damaged"):
        list(open_source(tmp_path / "a.png"))
