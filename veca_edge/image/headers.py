"""What the header of an image says before it is decoded: its size, how it is turned, what is transparent."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from veca_edge.image.formats import (
    AVIF,
    BMP,
    GIF,
    JPEG,
    JPEG2000,
    PNG,
    PNM,
    RAW,
    SNIFF,
    TIFF,
    WEBP,
    Format,
    recognised,
)
from veca_edge.image.tags import EXTRA_SAMPLES, KIND, ORIENTATION, SAMPLES, tiff_tags
from veca_edge.image.tags import HEIGHT as TIFF_HEIGHT
from veca_edge.image.tags import WIDTH as TIFF_WIDTH

Size = tuple[int, int]

GREY_ALPHA = Format("a TIFF of grey and transparency", "unread", "convert it to PNG")
TORN = 2**24  # bytes that may be missing at the end of a PNG
DNG = 50706  # the tag of that raw format's version
_SCAN, _END = 0xDA, 0xD9
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # JPEG markers without a length: TEM, RST0 to RST7, SOI
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # among C0 to CF those that are no frame header
_NUMBER = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
# Of AVIF: quarter turns against the clock, then a mirror (None, top and bottom, left and right); as in EXIF.
_TURNS = {(0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6, (0, 0): 4, (0, 1): 2}
_TURNS |= {(1, 0): 5, (1, 1): 7, (2, 0): 2, (2, 1): 4, (3, 0): 7, (3, 1): 5}


def still_format(data: bytes) -> Format | None:
    """`recognised` for a whole image file: of a TIFF its directory tells more."""
    found = recognised(data)
    if found != TIFF:
        return found
    try:
        tags = tiff_tags(data)
    except struct.error:
        return found
    if DNG in tags or (KIND in tags and tags[KIND].value & 1):  # a preview comes first, the picture is elsewhere
        return RAW
    samples, extra = tags.get(SAMPLES), tags.get(EXTRA_SAMPLES)
    return GREY_ALPHA if samples is not None and samples.value == 2 and extra is not None else found


def image_size(data: bytes) -> Size | None:
    """(width, height) in pixels of an image file; None if `data` is none that can be read.

    Args:
        data: the whole file, or enough of it to hold the header.
    """
    found = recognised(data)
    if found is None or found not in _SIZES:
        return None
    try:
        return _SIZES[found](data)
    except (struct.error, IndexError):
        return None


def orientation(data: bytes) -> int:
    """How an image file is to be turned: 1 to 8 as in EXIF, 1 where it does not say."""
    found = recognised(data)
    try:
        if found == AVIF:
            return _avif_orientation(data)
        tag = tiff_tags(_exif(found, data)).get(ORIENTATION)
    except (struct.error, IndexError):
        return 1
    return tag.value if tag is not None and 1 <= tag.value <= 8 else 1


def grey_key(data: bytes) -> int | None:
    """The grey that means transparent in a PNG without alpha, as it comes out of the decoder; None without one."""
    if recognised(data) != PNG or data[25:26] != b"\0":
        return None
    depth = data[24]
    for kind, start, end in _png_chunks(data):
        if kind == b"tRNS" and end - start == 2:
            value = int.from_bytes(data[start:end], "big")
            return value if depth >= 8 else value * 255 // (2**depth - 1)
    return None


def white(data: bytes) -> int | None:
    """What the decoder shows for white where that is not its type's largest number; None for all other images.

    It leaves the numbers of 10 and 12 bits as they are, and those of a PNM file whose header names another largest
    one, unless they are written as text and fit into a byte.
    """
    found = recognised(data)
    try:
        if found == AVIF:
            bits = data[data.index(b"av1C", 0, SNIFF) + 6]
            return (4095 if bits & 0x20 else 1023) if bits & 0x40 else None
        if found == JPEG2000:
            depth = (data[data.index(b"\xff\x4f\xff\x51") + 42] & 0x7F) + 1
            return 2**depth - 1 if 8 < depth < 16 else None
    except (ValueError, IndexError):
        return None
    told = re.match(rb"P[2356]" + _NUMBER * 3, data) if found == PNM else None
    most = int(told[3]) if told else 255
    unchanged = most in (255, 65535) or (data[1:2] in b"23" and most < 255)
    return None if unchanged or not 0 < most < 65535 else most


def is_animated(data: bytes) -> bool:
    """Whether an image may hold several pictures over time; of a GIF only its decoding tells."""
    found = recognised(data)
    if found == PNG:
        return any(kind == b"acTL" for kind, _, _ in _png_chunks(data[:SNIFF]))
    if found == WEBP:
        return data[12:16] == b"VP8X" and bool(data[20:21] and data[20] & 2)
    return found == GIF or (found == AVIF and data[8:12] == b"avis")


def is_torn(data: bytes) -> bool:
    """Whether a PNG has a chunk that claims far more than there is: OpenCV would take memory for all of it."""
    return recognised(data) == PNG and any(end > len(data) + TORN for _, _, end in _png_chunks(data))


def is_jpeg_film(data: bytes) -> bool:
    """Whether a JPEG is followed by another of its size; previews that phones append are no film."""
    first = image_size(data)
    for marker, start, _ in _jpeg_segments(data):
        if marker == 0xE2 and data[start : start + 4] == b"MPF\0":  # an index of several pictures
            return False
        if marker == _SCAN:
            end = data.find(b"\xff\xd9", start)
            following = data[end + 2 :].lstrip(b"\0") if end >= 0 else b""
            return following.startswith(b"\xff\xd8\xff") and image_size(following) == first
    return False


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment up to the first scan; what lies between them is passed over."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0:
        while data[position : position + 1] == b"\xff":  # padding
            position += 1
        marker = data[position] if position < len(data) else _END
        position += 1
        if marker in _ALONE:
            continue
        if marker == _END or position + 2 > len(data):
            return
        length = max(2, struct.unpack_from(">H", data, position)[0])
        yield marker, position + 2, position + length
        if marker == _SCAN:
            return
        position += length


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of each chunk."""
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, position + 8, position + 8 + length
        if kind == b"IEND":
            return
        position += 12 + length


def _exif(found: Format | None, data: bytes) -> bytes:
    """The EXIF block of an image, which has the form of a TIFF; b"" without one."""
    if found == TIFF:
        return data
    if found == JPEG:
        blocks = (data[a:b] for marker, a, b in _jpeg_segments(data) if marker == 0xE1)
        return next((block[6:] for block in blocks if block.startswith(b"Exif\0\0")), b"")
    if found == PNG:
        return next((data[a:b] for kind, a, b in _png_chunks(data) if kind == b"eXIf"), b"")
    if found == WEBP:
        return next(
            (data[a:b].removeprefix(b"Exif\0\0") for kind, a, b in _webp_chunks(data) if kind == b"EXIF"), b""
        )
    return b""


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, position + 8 + length
        position += 8 + length + length % 2


def _avif_orientation(data: bytes) -> int:
    head = data[:SNIFF]
    turn, mirror = (re.search(rb"\0\0\0\x09" + name + rb"(.)", head, re.DOTALL) for name in (b"irot", b"imir"))
    return _TURNS[turn[1][0] & 3 if turn else 0, mirror[1][0] & 1 if mirror else None]


def _png(data: bytes) -> Size:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp(data: bytes) -> Size:
    if data[14] == 12:  # as OS/2 wrote it
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _gif(data: bytes) -> Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> Size | None:
    for marker, start, _ in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", data, start + 1)
            return width, height
    return None


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff(data: bytes) -> Size | None:
    tags = tiff_tags(data)
    size = tags.get(TIFF_WIDTH), tags.get(TIFF_HEIGHT)
    return None if size[0] is None or size[1] is None else (size[0].value, size[1].value)


def _avif(data: bytes) -> Size | None:
    """The largest of the sizes in the file: it has one for each of a grid's tiles too."""
    found = re.finditer(rb"ispe\0\0\0\0(.{4})(.{4})", data[:SNIFF], re.DOTALL)
    sizes = [(int.from_bytes(one[1], "big"), int.from_bytes(one[2], "big")) for one in found]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _jpeg2000(data: bytes) -> Size | None:
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    return right - left, bottom - top


def _pnm(data: bytes) -> Size | None:
    found = re.match(rb"P[1-6]" + _NUMBER * 2, data)
    return (int(found[1]), int(found[2])) if found else None


_SIZES: dict[Format, Callable[[bytes], Size | None]] = {
    JPEG: _jpeg,
    PNG: _png,
    WEBP: _webp,
    BMP: _bmp,
    TIFF: _tiff,
    GIF: _gif,
    AVIF: _avif,
    JPEG2000: _jpeg2000,
    PNM: _pnm,
}
