"""Image files made by hand, where the encoders at hand leave out what a test is about."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

FOUR = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)  # RGB


def four_colours(height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    """RGB with a colour of its own in each quarter."""
    return FOUR.repeat(height // 2, 0).repeat(width // 2, 1)


def encoded(suffix: str, image: NDArray[Any], *settings: int) -> bytes:
    """RGB or RGBA as OpenCV encodes it."""
    order = [2, 1, 0, 3][: image.shape[2]]
    good, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., order]), settings)
    assert good
    return bytes(data.tobytes())


def tiff(image: NDArray[Any], *more: tuple[int, int], at_end: bool = False, big_endian: bool = False) -> bytes:
    """An uncompressed TIFF of (H, W, C), with these tags too (the last of equal ones come last in the file)."""
    height, width, channels = image.shape
    order: Literal["<", ">"] = ">" if big_endian else "<"
    pixels = image.astype(image.dtype.newbyteorder(order)).tobytes()
    bits = image.dtype.itemsize * 8
    fields = [(256, width), (257, height), (258, bits), (259, 1), (262, 2 if channels > 2 else 1), (277, channels)]
    fields += [(278, height), (279, len(pixels)), *more]
    size = 2 + 12 * (len(fields) + 1) + 4
    place = 8 + len(pixels) if at_end else 8
    fields.append((273, 8 if at_end else 8 + size + 2 * channels))
    directory = struct.pack(order + "H", len(fields))
    for tag, value in sorted(fields, key=lambda field: field[0]):
        count = channels if tag == 258 else 1
        if tag == 258 and channels > 2:
            directory += struct.pack(order + "HHII", tag, 3, count, place + size)
        elif tag == 258:
            directory += struct.pack(order + "HHIHH", tag, 3, count, *[bits] * channels, *[0] * (2 - channels))
        elif tag in (273, 279):
            directory += struct.pack(order + "HHII", tag, 4, 1, value)
        else:
            directory += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
    directory += bytes(4) + struct.pack(f"{order}{channels}H", *[bits] * channels)
    start = struct.pack(order + "2sHI", b"MM" if big_endian else b"II", 42, place)
    return start + (pixels + directory if at_end else directory + pixels)


def exif(turn: int) -> bytes:
    """An EXIF block that holds an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 274, 3, 1, turn, 0) + bytes(4)


def turned(suffix: str, image: NDArray[np.uint8], turn: int) -> bytes:
    """An image file that says how it is to be turned."""
    if suffix == ".tif":
        return tiff(image, (274, turn))
    if suffix == ".tif16":
        return tiff(image.astype(np.uint16) * 257, (274, turn), at_end=True, big_endian=True)
    settings = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    data: bytes = encoded(suffix, image, *settings)
    block = exif(turn)
    if suffix == ".jpg":
        body = b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    if suffix == ".png":
        return data[:33] + png_chunk(b"eXIf", block) + data[33:]
    if suffix == ".webp":
        height, width = image.shape[:2]
        size: bytes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size
        body += data[12:] + b"EXIF" + struct.pack("<I", len(block)) + block
        return b"RIFF" + struct.pack("<I", len(body)) + body
    raise AssertionError(suffix)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(image: NDArray[np.uint8], colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of (H, W, C) in this colour type, with these chunks before its pixels."""
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in parts)


def animation(path: Path, count: int = 4, milliseconds: int = 100) -> Path:
    """An animated image of flat pictures whose left half is transparent, of these many."""
    made = cv2.Animation()
    frames = [np.full((24, 32, 4), 40 * (index + 1), np.uint8) for index in range(count)]
    for frame in frames:
        frame[..., 3] = 255
        frame[:, :16, 3] = 0
    made.frames, made.durations = frames, [milliseconds] * count
    assert cv2.imwriteanimation(str(path), made)
    return path
