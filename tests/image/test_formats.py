"""What a file is, from its first bytes."""

from __future__ import annotations

import pytest

from veca_edge.errors import VecaError
from veca_edge.image.formats import recognised


def _boxes(major: bytes, *others: bytes) -> bytes:
    brands = b"".join(others)
    return (16 + len(brands)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + brands + bytes(100)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        (b"GIF89a", "GIF"),
        (b"BM" + bytes(12) + b"\x0c\0\0\0", "BMP"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "BMP"),
        (b"P6\n3 4\n255\n", "PNM"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (_boxes(b"avif", b"mif1"), "AVIF"),
        (_boxes(b"mif1", b"heic", b"avif"), "AVIF"),
        (_boxes(b"avis"), "AVIF"),
        (_boxes(b"isom", b"mp42"), "a film"),
        (_boxes(b"qt  "), "a film"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "a film"),
        (b"\x1aE\xdf\xa3", "a film"),
        (b"RIFF\0\0\0\0AVI LIST", "a film"),
        ((b"G" + bytes(187)) * 3, "a film"),
        ((bytes(4) + b"G" + bytes(187)) * 3, "a film"),
        (b"\0\0\0\1\x67\x42", "a film"),
        (b"\0\0\1\xb3\x04", "a film"),
        (b"YUV4MPEG2 W6 H4\n", "a film"),
    ],
)
def test_what_can_be_played(start: bytes, name: str) -> None:
    found = recognised(start)
    assert found is not None
    assert found.name == name
    found.check("a")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (_boxes(b"heic", b"mif1", b"heic"), "a is HEIC, which cannot be read: convert it to JPEG"),
        (_boxes(b"mif1", b"heic"), "a is HEIC"),
        (_boxes(b"crx "), "a is a camera's raw file, which cannot be read: export it as JPEG"),
        (b"II*\0\x10\0\0\0CR\2\0", "a is a camera's raw file"),
        (b"FUJIFILMCCD-RAW ", "a is a camera's raw file"),
        (b"\xff\x0a\xfa", "a is JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a is JPEG XL"),
        (b"II+\0", "a is BigTIFF"),
        (b"%PDF-1.7", "a is PDF"),
        (b"8BPS\0\1", "a is a Photoshop file"),
        (b"\x76\x2f\x31\x01", "a is OpenEXR"),
        (b"#?RADIANCE\n", "a is Radiance HDR"),
        (b'<?xml version="1.0"?>\n<!-- made -->\n<svg width="3">', "a is SVG"),
        (b"\xef\xbb\xbf<svg>", "a is SVG"),
        (b"#EXTM3U\n\0#EXT-X-VERSION:3", "a is a playlist, which cannot be read: give the file or address"),
        (b"ffconcat version 1.0\nfile \0", "a is a playlist"),
        (b"<?xml?><MPD xmlns=''>", "a is a playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\0", "a is a session description"),
    ],
)
def test_what_is_refused_by_its_name(start: bytes, message: str) -> None:
    found = recognised(start)
    assert found is not None
    with pytest.raises(VecaError) as caught:
        found.check("a")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("start", [b"", b"BMW drives", b"RIFF\0\0\0\0WAVE", b"hello", b"P6x", b"GIFT", b"\0\0\1"])
def test_what_is_neither(start: bytes) -> None:
    assert recognised(start) is None
